"""`dltrain fit` in which something happens at an exact moment; run in forked processes, see `fork_server`.

A moment is a phase of training and the number of an event in it. Events are the calls and returns of all
functions, those of Python's own library and of C included, as `sys.setprofile` tells them: between any two
calls of the system there are some.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from reliability.fork_server import tell
from run_helpers import busy_config, write_data

from dltrain.cli.main import main
from dltrain.cli.signals import StopFlag
from dltrain.datasets.dataset import Dataset
from dltrain.runs import reporter as reporter_module
from dltrain.runs.checkpoints import CheckpointStore
from dltrain.runs.reporter import Reporter
from dltrain.training.evaluation import Evaluator
from dltrain.training.trainer import Trainer

PHASES = ("start-up", "data loading", "training", "step", "evaluation", "save", "prune", "exit")

# While one of these runs, it is this phase; "start-up" and "training" are what is in between, and "exit" is
# all that comes after training.
WITHIN: dict[CodeType, str] = {
    Dataset.load.__code__: "data loading",
    Trainer._step.__code__: "step",
    Evaluator.__call__.__code__: "evaluation",
    Reporter.save.__code__: "save",
    CheckpointStore._prune.__code__: "prune",
}
BEGINS: dict[CodeType, str] = {
    StopFlag.__enter__.__code__: "training",
    reporter_module.write_summary.__code__: "exit",
}


def warm_up() -> None:
    """Imports all that a fit imports, and compiles its kernels."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "c.yaml")
        config.write_text(busy_config(write_data(Path(folder))))
        assert main(["fit", str(config), "--run-dir", f"{folder}/run", "--quiet"]) == 0


def fit(words: Sequence[str]) -> int:
    """`dltrain fit WORDS`."""
    return main(["fit", *words])


def fit_with_signals(words: Sequence[str], moments: Sequence[tuple[str, int]], signals: Sequence[int]) -> int:
    """`dltrain fit WORDS`, which gets the first of the signals at the first of the moments, and so on.

    Moments after the first count from the one before; their phase "any" counts events of every phase. Tells
    "saved" with the step of each checkpoint, "signal" with the phase and the time of each signal, and at the
    end "events" with their number by phase.
    """
    clock = _Clock(list(zip(moments, signals, strict=True)))
    sys.setprofile(clock)
    try:
        return fit(words)
    finally:
        sys.setprofile(None)
        tell("events", clock.counts)


def fit_with_failing_calls(
    words: Sequence[str], save: int, at: int = 0, code: int = 0, forever: bool = False
) -> int:
    """`dltrain fit WORDS`; in its save of that number, the call `at` of these that write fails with an errno.

    Arguments:
        forever: all later calls fail as well, to the end of the process; as on a real disk, what is open for
            reading can still be read.

    Tells "calls": the names of the calls of the system in that save.
    """
    calls: list[str] = []
    on = False

    def failing(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if not on:
                return original(*arguments, **keywords)
            calls.append(name)
            reads = name == "open" and not _writes(*arguments, **keywords)
            if len(calls) == at or (0 < at < len(calls) and forever and not reads):
                raise OSError(code, os.strerror(code))
            return original(*arguments, **keywords)

        return call

    def switched(reporter: Reporter, *arguments: Any) -> Path:
        nonlocal saves, on
        saves += 1
        on = saves == save
        path = original_save(reporter, *arguments)
        on = False
        tell("calls", calls)
        return path

    saves, original_save = 0, Reporter.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reporter, "save", switched)
        for module, name in CALLS:
            patch.setattr(module, name, failing(name, getattr(module, name)))
        return fit(words)


def fit_interrupted_in(words: Sequence[str], number: int, place: str) -> int:
    """`dltrain fit WORDS`, which gets a signal when it calls the function `place` of a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, lambda *_: os.kill(os.getpid(), number))
        return fit(words)


def fit_interrupted_in_a_finalizer(words: Sequence[str], number: int) -> int:
    """`dltrain fit WORDS`, which gets a signal in a finalizer as it reads its config."""

    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    def read(*_: object) -> None:
        Finalized()
        time.sleep(5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dltrain.cli.fit.load_config", read)
        return fit(words)


CALLS = [
    (io, "open"),  # what pathlib calls
    *((os, name) for name in ("open", "write", "fsync", "ftruncate", "mkdir", "rename", "replace")),
]


def _writes(_: object, mode: object = "r", *others: object, **__: object) -> bool:
    """Whether a call of `os.open` or `io.open` opens to write."""
    return bool(mode & os.O_ACCMODE) if isinstance(mode, int) else mode not in ("r", "rb")


class _Clock:
    """A function for `sys.setprofile` that counts events by phase, and sends signals to its own process."""

    def __init__(self, pending: list[tuple[tuple[str, int], int]]) -> None:
        self.counts = dict.fromkeys(PHASES, 0)
        self._pending = pending
        self._phases = ["start-up"]
        self._left = pending[0][0][1] if pending else 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code in WITHIN and self._phases[0] != "exit":
                self._phases.append(WITHIN[code])
            elif code in BEGINS:
                self._phases[0] = BEGINS[code]
        phase = self._phases[-1]
        self.counts[phase] += 1
        if self._pending and self._pending[0][0][0] in (phase, "any"):
            self._left -= 1
            if self._left == 0:
                self._send(phase)
        if event == "return" and frame.f_code in WITHIN and self._phases[0] != "exit":
            ended = self._phases.pop()
            if ended == "save" and argument is not None:  # it returns None where it raises
                tell("saved", frame.f_locals["state"].step)

    def _send(self, phase: str) -> None:
        number = self._pending.pop(0)[1]
        self._left = self._pending[0][0][1] if self._pending else 0
        tell("signal", [phase, time.monotonic()])
        os.kill(os.getpid(), number)
        assert number != signal.SIGKILL
