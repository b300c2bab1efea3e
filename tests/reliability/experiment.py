"""One small run that everything is done to: its config, its uninterrupted course, and what must come out."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from reliability import faulty_fit
from reliability.fork_server import ForkServer
from run_helpers import busy_config, write_data

from dltrain.runs.checkpoints import CheckpointStore

Item = TypeVar("Item")
Result = TypeVar("Result")

STEPS = 10
SAVES = [2, 4, 5, 6, 8, 10]  # every second step, and where an epoch ends

BEGINS_AGAIN = "has no checkpoint yet: it begins again at its first step"


def digest(run: Path) -> str:
    """SHA-256 of what resuming must not change: weights, slots, counters, metric rows less their times."""
    content = hashlib.sha256()
    store = CheckpointStore(run / "checkpoints")
    for which in ("last", "best"):
        checkpoint = store.load(which)
        counters = checkpoint.trainer_state["counters"]
        content.update(repr((checkpoint.step, checkpoint.epoch, checkpoint.best_step, counters)).encode())
        for name, array in sorted(checkpoint.arrays.items()):
            content.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    for name in ("metrics.jsonl", "summary.json"):
        content.update((run / name).read_bytes())
    for row in csv.reader((run / "metrics.csv").read_text().splitlines(keepends=True)):
        content.update(repr(row[:3] + row[4:]).encode())  # without the column "seconds"
    return content.hexdigest()


def steps_saved(run: Path) -> list[int]:
    """The steps of the checkpoints that are there."""
    return sorted(int(path.name.removeprefix("step-")) for path in run.glob("checkpoints/step-*"))


def left_behind(run: Path) -> list[str]:
    """Files and folders under a name that is not for ever."""
    return [str(path) for path in run.rglob(".*")]


@dataclass
class Experiment:
    """Arguments: `folder`, with `c.yaml`; `servers`, one a core; `reference`, of the uninterrupted run: its
    digest and the number of its events by phase."""

    folder: Path
    servers: Sequence[ForkServer]
    reference: str = ""
    events: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def prepare(cls, folder: Path, servers: Sequence[ForkServer]) -> Experiment:
        config = busy_config(write_data(folder), log_every=1, checkpoint_every="2 steps")
        (folder / "c.yaml").write_text(config)
        experiment = cls(folder, servers)
        run = folder / "uninterrupted"
        words = experiment.words(run)
        ended = servers[0].run(faulty_fit.fit_with_signals, folder, words=words, moments=[], signals=[])
        assert ended.code == 0, ended.err
        assert ended.all_told("saved") == SAVES == sorted(SAVES)
        experiment.reference = digest(run)
        (experiment.events,) = ended.all_told("events")
        return experiment

    def words(self, run: Path) -> list[str]:
        """The words after `dltrain fit` that train the run on, or from the start if there is none yet."""
        if (run / "run.json").exists():
            return ["--resume", str(run), "--quiet"]
        if run.exists():
            shutil.rmtree(run)
        return ["c.yaml", "--run-dir", str(run), "--quiet"]

    def check_ends_right(self, server: ForkServer, run: Path) -> None:
        """Trains the run to its end, which must be that of the uninterrupted one."""
        words = self.words(run)
        warns = words[0] == "--resume" and not steps_saved(run)
        ended = server.run(faulty_fit.fit, self.folder, words=words)
        assert ended.code == 0, (words, ended.err)
        assert ended.err == (f"dltrain: warning: {run} {BEGINS_AGAIN}\n" if warns else "")
        assert digest(run) == self.reference, words
        assert left_behind(run) == []
        assert json.loads((run / "run.json").read_text())["status"] == "completed"
        shutil.rmtree(run)

    def each(
        self, items: Sequence[Item], function: Callable[[ForkServer, Path, Item], Result]
    ) -> list[Result]:
        """Calls the function with each item, a server and a run directory of its own, on all cores."""

        def share(number: int) -> list[Result]:
            runs = (self.folder / f"run-{number}-{index}" for index in range(len(items)))
            mine = items[number :: len(self.servers)]
            return [function(self.servers[number], run, item) for run, item in zip(runs, mine, strict=False)]

        with ThreadPoolExecutor(len(self.servers)) as pool:
            return [result for results in pool.map(share, range(len(self.servers))) for result in results]
