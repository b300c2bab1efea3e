"""Signals that end a command at once, wherever it is, where it does not handle them itself."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from types import FrameType
from typing import TYPE_CHECKING

from dltrain.errors import Terminated

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""Besides SIGINT, for which Python itself raises KeyboardInterrupt. Windows lacks SIGUSR1."""

SENT_AGAIN_AFTER = 0.01  # seconds


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """While it is entered, the signals of `ENDING` raise Terminated, and no interrupt gets lost.

    Python drops what is raised within a finalizer or a callback from C, as an interrupt may be that arrives
    just then; it is sent again.
    """
    handlers = {number: signal.signal(number, _end) for number in ENDING}
    report_dropped = sys.unraisablehook

    def send_again(dropped: UnraisableHookArgs) -> None:
        match dropped.exc_value:
            case Terminated(signal_number=number):
                Timer(SENT_AGAIN_AFTER, os.kill, [os.getpid(), number]).start()
            case KeyboardInterrupt():
                Timer(SENT_AGAIN_AFTER, os.kill, [os.getpid(), signal.SIGINT]).start()
            case _:
                report_dropped(dropped)

    sys.unraisablehook = send_again
    try:
        yield
    finally:
        sys.unraisablehook = report_dropped
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)
