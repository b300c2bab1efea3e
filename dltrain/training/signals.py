"""Signals that ask training to stop: their handlers only set a flag, which the trainer looks at."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self


class StopFlag:
    """While it is entered, SIGINT and SIGTERM set it; called, it says whether it is set.

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
        for number in (signal.SIGINT, signal.SIGTERM):
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
