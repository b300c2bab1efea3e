"""A save killed as it enters any call of the system: the run is resumed and ends as if never killed.

All saves, and what follows them up to the end of the run: `python -m pytest -m slow tests/reliability`.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from reliability.experiment import SAVES, Experiment, steps_saved
from reliability.fork_server import ForkServer
from reliability.strace import calls_of_the_save, calls_to_the_end, fit_under_strace, needs_strace

pytestmark = needs_strace

AFTER_THE_SAVE = {"rename", "renameat", "renameat2"}  # a file is there, but not under its name


def killed_everywhere(experiment: Experiment, save: int, to_the_end: bool) -> int:
    """Kills at call 1, 2, ... of each kind; returns how many there were."""
    folder = experiment.folder
    log, run = folder / "calls", folder / "traced"
    ended = experiment.servers[0].run(
        fit_under_strace, folder, words=experiment.words(run), save=save, log=str(log)
    )
    assert ended.code == 0, ended.err
    after, calls = calls_to_the_end(log), calls_of_the_save(log)
    assert {"openat", "write", "fsync"} <= calls.keys()
    for name in after if to_the_end else AFTER_THE_SAVE & after.keys():
        calls[name] = after[name]

    def killed(server: ForkServer, run: Path, case: tuple[str, int]) -> None:
        name, number = case
        ended = server.run(
            fit_under_strace,
            folder,
            words=experiment.words(run),
            save=save,
            log=str(run) + ".calls",
            inject=f"{name}:signal=KILL:when={number}",
        )
        assert ended.code == -signal.SIGKILL, (case, ended)
        there = steps_saved(run)
        assert len(there) >= min(save - 1, 2), case
        assert save == 1 or there[-1] >= SAVES[save - 2], case
        experiment.check_ends_right(server, run)

    cases = [(name, number + 1) for name, count in calls.items() for number in range(count)]
    experiment.each(cases, killed)
    return len(cases)


def test_a_save_killed_at_each_call(experiment: Experiment) -> None:
    """The last one: it is the best yet, and older ones are removed."""
    assert killed_everywhere(experiment, save=len(SAVES), to_the_end=False) > 50


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("save", range(1, len(SAVES) + 1))
def test_killed_at_each_call_from_a_save_to_the_end(experiment: Experiment, save: int) -> None:
    assert killed_everywhere(experiment, save, to_the_end=True) > 50
