"""A run killed at random moments, again and again, can be resumed each time and ends as if never killed.

200 kills by default, 2,000 by `python -m pytest -m slow tests/reliability/test_random_kills.py`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from reliability import faulty_fit
from reliability.experiment import STEPS, Experiment, digest, steps_saved
from reliability.fork_server import ForkServer
from run_helpers import busy_config, write_data

Chain = Callable[[ForkServer, Path, int], list[str]]


def random_moment(chance: random.Random, events: Mapping[str, int], steps_left: int) -> tuple[str, int]:
    """A phase, any as likely as another, and an event of it that is likely to come."""
    if steps_left == 0:
        phase = chance.choice(["start-up", "data loading", "exit"])
        return phase, chance.randint(1, events[phase] * 9 // 10)
    phase = chance.choice(faulty_fit.PHASES)
    expected = events[phase]
    if phase not in ("start-up", "data loading", "exit"):
        expected = expected * steps_left // STEPS
    return phase, chance.randint(1, max(expected * 9 // 10, 1))


def killed_in_chain(
    experiment: Experiment, server: ForkServer, run: Path, kills: int, seed: str
) -> list[str]:
    """Starts or resumes the run so many times, until it is killed. Returns in which phases it was."""
    chance = random.Random(seed)
    phases, saved = [], 0
    for _ in range(kills):
        moment = random_moment(chance, experiment.events, STEPS - saved)
        words = experiment.words(run)
        ended = server.run(
            faulty_fit.fit_with_signals,
            experiment.folder,
            words=words,
            moments=[moment],
            signals=[signal.SIGKILL],
        )
        if ended.code == -signal.SIGKILL:
            phases.extend(phase for phase, _ in ended.all_told("signal"))
        else:
            assert ended.code == 0, (seed, words, moment, ended)
            phases.append("after its end")
        told = max([saved, *ended.all_told("saved")])
        saved = max(steps_saved(run), default=0)
        assert saved >= told, f"{seed}: step {told} was saved and is lost"
    experiment.check_ends_right(server, run)
    return phases


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(200, marks=pytest.mark.timeout(300)),
        pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_every_killed_run_ends_as_the_uninterrupted_one(experiment: Experiment, kills: int) -> None:
    chance, chains = random.Random(kills), list[int]()
    while sum(chains) < kills:
        chains.append(min(chance.randint(1, 5), kills - sum(chains)))

    def chain(server: ForkServer, run: Path, length: int) -> list[str]:
        return killed_in_chain(experiment, server, run, length, f"{kills} {run.name}")

    landed = Counter(phase for phases in experiment.each(chains, chain) for phase in phases)
    print(dict(landed))
    assert landed.total() == kills
    assert landed["after its end"] <= kills * 5 // 100, landed
    assert all(landed[phase] > 0 for phase in faulty_fit.PHASES), landed


def test_whole_processes_killed_at_random_times(experiment: Experiment) -> None:
    """Without a fork server: as a batch scheduler kills them, at any instruction."""
    folder = experiment.folder
    config = busy_config(write_data(folder), epochs=12, log_every=1, checkpoint_every="2 steps")
    (folder / "c.yaml").write_text(config)

    def ends_within(run: Path, seconds: float) -> bool:
        """Starts or resumes the run; whether it then ends by itself, or else is killed."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dltrain", "fit", *experiment.words(run)],
            cwd=folder,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            _, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return False
        assert process.returncode == 0, err
        assert err == b"" or err.endswith(b"has no checkpoint yet: it begins again at its first step\n"), err
        return True

    started = time.monotonic()
    assert ends_within(folder / "whole", 60)
    whole = time.monotonic() - started
    expected = digest(folder / "whole")

    def killed_five_times(_: ForkServer, run: Path, seed: int) -> None:
        chance, kills = random.Random(seed), 0
        while kills < 5:
            if ends_within(run, chance.uniform(0.2, 0.8) * whole):
                assert digest(run) == expected
                shutil.rmtree(run)
            else:
                kills += 1
        assert ends_within(run, 60)
        assert digest(run) == expected

    experiment.each([1, 2], killed_five_times)
