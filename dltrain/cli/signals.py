"""Signals that ask training to stop: their handlers only set a flag, which the trainer looks at."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from types import FrameType, TracebackType
from typing import Any, Self

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""What asks to stop. Batch schedulers send SIGUSR1 some time before a job's time is up; Windows lacks it."""

PATIENCE = 0.4  # seconds


class StopFlag:
    """While it is entered, the signals of `STOPPING` set it; called, it says whether it is set.

    A second SIGINT raises KeyboardInterrupt at once. To be entered in the main thread.

    Attributes:
        signal_number: of the signal that came first; None while there was none.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self.signal_number is not None

    def __enter__(self) -> Self:
        for number in STOPPING:
            self._previous[number] = signal.signal(number, self._set)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _set(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = self.signal_number or number
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def second_interrupt_ends() -> Iterator[None]:
    """Ends the process when the block has not been left `PATIENCE` after a second SIGINT.

    Python calls a signal's handler only between two of its own instructions, and one of them may be a long
    matrix product or a flush to a slow disk; so a thread, which the system wakes at once, keeps the promise.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    left = Event()
    watcher = Thread(target=_end_after_second_interrupt, args=(reading, left), daemon=True)
    watcher.start()
    previous = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        left.set()
        os.close(writing)
        watcher.join()


def _end_after_second_interrupt(reading: int, left: Event) -> None:
    """Reads the numbers of signals from a pipe until it is closed."""
    interrupts = 0
    with open(reading, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            interrupts += number[0] == signal.SIGINT
            if interrupts == 2 and not left.wait(PATIENCE):
                os._exit(128 + signal.SIGINT)
