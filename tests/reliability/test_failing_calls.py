"""A call of the system that fails in a save is exit 7 with the path, loses nothing, and leaves no rest.

`training/test_checkpoint_failures.py` does the same to the store of checkpoints alone. Every call with every
errno: `python -m pytest -m slow tests/reliability/test_failing_calls.py`.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from reliability import faulty_fit
from reliability.experiment import SAVES, Experiment, left_behind
from reliability.fork_server import ForkServer
from reliability.strace import needs_strace

from dltrain.runs.checkpoints import CheckpointStore

CODES = [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS]
LAST_SAVE = len(SAVES)  # it is the best yet, and older ones are removed


def check_failed(run: Path, returned: int, err: str, code: int, context: object) -> None:
    """The command failed as it should have, and all that was saved before can be loaded."""
    assert returned == 7, (context, err)
    (line,) = err.splitlines()
    assert line.startswith("dltrain: error: cannot "), context
    assert os.strerror(code) in line, (context, line)
    assert re.search(rf": {run}/\S+: ", line), (context, line)
    assert left_behind(run) == [], context
    store = CheckpointStore(run / "checkpoints")
    assert store.load(f"step-{SAVES[-2]:08d}").step == SAVES[-2]
    assert store.load("last").step in SAVES[-2:]
    assert store.load("best").step in (5, 10)


def calls_of_the_save(experiment: Experiment) -> list[str]:
    run = experiment.folder / "counted"
    ended = experiment.servers[0].run(
        faulty_fit.fit_with_failing_calls, experiment.folder, words=experiment.words(run), save=LAST_SAVE
    )
    assert ended.code == 0, ended.err
    calls: list[str] = ended.all_told("calls")[-1]
    assert {"open", "write", "fsync", "mkdir", "rename", "replace"} <= set(calls)
    return calls


@pytest.mark.parametrize(
    "all_codes", [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_each_call_of_a_save_fails(experiment: Experiment, all_codes: bool) -> None:
    calls = calls_of_the_save(experiment)

    def fails(server: ForkServer, run: Path, case: tuple[int, int, bool]) -> None:
        at, code, forever = case
        ended = server.run(
            faulty_fit.fit_with_failing_calls,
            experiment.folder,
            words=experiment.words(run),
            save=LAST_SAVE,
            at=at,
            code=code,
            forever=forever,
        )
        check_failed(run, ended.code, ended.err, code, (calls[at - 1], *case))
        if forever or all_codes:  # what is left is the same, but for what the failing call would have done
            experiment.check_ends_right(server, run)

    experiment.each(
        [
            (at, code, forever)
            for at in range(1, len(calls) + 1)
            for code in (CODES if all_codes else [CODES[at % len(CODES)]])
            for forever in (False, True)
        ],
        fails,
    )


@needs_strace
@pytest.mark.parametrize(
    "inject",
    [
        "fsync:error=EIO:when=19",
        "fsync:error=ENOSPC:when=30+",
        "rename:error=EROFS:when=12+",
        "mkdir:error=EACCES:when=8",
    ],
)
def test_whole_processes(experiment: Experiment, inject: str) -> None:
    """The system itself lets them fail, whatever library makes the call."""
    run = experiment.folder / "run"
    strace = ["strace", "-f", "-qq", "-o", str(experiment.folder / "calls"), "-e", f"inject={inject}"]
    process = subprocess.run(
        [*strace, sys.executable, "-m", "dltrain", "fit", *experiment.words(run)],
        cwd=experiment.folder,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 7, process.stderr
    (line,) = process.stderr.splitlines()
    assert re.match(rf"dltrain: error: cannot [ a-z]+: {run}/\S+: ", line)
    assert left_behind(run) == []
    experiment.check_ends_right(experiment.servers[0], run)


def test_nothing_can_be_printed(experiment: Experiment) -> None:
    """A full disk that holds the log of a batch job as well: the exit code still tells."""
    with open("/dev/full", "w") as full:
        for words, code in [(("fit", "c.yaml", "--run-dir", "run"), 7), (("fit", "none.yaml"), 2)]:
            command = [sys.executable, "-m", "dltrain", *words]
            done = subprocess.run(command, cwd=experiment.folder, stdout=full, stderr=full)
            assert done.returncode == code, words
