"""What SIGINT, SIGTERM and SIGUSR1 do: the first stops the command, later ones find it on its way out.

The first raises KeyboardInterrupt or Terminated wherever the command is; while modules are imported it is
kept, and in training it is a flag, which ends the step. A second SIGINT ends the process at the latest
`PATIENCE` afterwards. A signal that is ignored when the command starts, as in `nohup` or in
the background of a script, stays ignored.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    import signal
    from sys import UnraisableHookArgs
    from types import FrameType
    from typing import Any, NoReturn, Self
else:
    import _signal as signal  # what `signal` wraps, without its imports: they take as long as all of `--help`

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""What asks to stop. Batch schedulers send SIGUSR1 some time before a job's time is up; Windows lacks it."""

PATIENCE = 0.4  # seconds
SENT_AGAIN_AFTER = 0.01  # seconds
_AGAIN = 0  # before the number of a signal that is to be sent again; no signal has it


class Signals:
    """While it is entered, in the main thread, the signals of `STOPPING` come here; at first they are kept.

    Attributes:
        number: of the signal that came first; None while there was none.
        raises: whether the first one raises where it arrives.
        flags: whether it is training that looks at `number`; a second SIGINT then raises.
        reported: whether what the signal did has been printed.
        watcher: None where no thread watches.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.raises = self.flags = self.reported = False
        self.watcher: Watcher | None = None
        self._interrupts = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._report_unraisable = sys.unraisablehook
        sys.unraisablehook = self._dropped
        for number in STOPPING:
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):  # None: a handler that is not Python's
                self._previous[number] = handler
                signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._report_unraisable

    def raise_from_now(self) -> None:
        """What was kept, at once; what comes, where it arrives."""
        self.raises = True
        if self.number is not None:
            self._raise(self.number)

    def ignore(self) -> None:
        """Until the process has ended, as all is done."""
        for number in self._previous:
            signal.signal(number, signal.SIG_IGN)
        self._previous.clear()

    def end_process(self, number: int) -> NoReturn:
        """At once, with the signal's exit code."""
        if not self.reported:
            from contextlib import suppress

            with suppress(OSError):
                os.write(2, b"dltrain: error: interrupted\n")
        os._exit(128 + number)

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        first = self.number is None
        self.number = self.number or number
        self._interrupts += number == signal.SIGINT
        second = number == signal.SIGINT and self._interrupts == 2
        if first and self.raises:
            self._raise(number)
        elif second and self.flags:
            raise KeyboardInterrupt
        elif second and self.watcher is None:
            self.end_process(number)

    def _raise(self, number: int) -> NoReturn:
        from dltrain.errors import Terminated

        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    def _dropped(self, dropped: UnraisableHookArgs) -> None:
        """Python drops what is raised within a finalizer or a callback from C: that is sent again."""
        if self.number is None or not isinstance(dropped.exc_value, KeyboardInterrupt):
            self._report_unraisable(dropped)
        elif self.watcher is None:
            self.end_process(self.number)
        else:
            self.watcher.send_again(self.number)
            self._interrupts -= self.number == signal.SIGINT
            self.number = None


class StopFlag:
    """While it is entered, the first signal sets it and raises nothing; called, it says whether it is set.

    A second SIGINT raises KeyboardInterrupt at once.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def __call__(self) -> bool:
        return self._signals.number is not None

    def __enter__(self) -> Self:
        self._signals.raises, self._signals.flags = False, True
        return self

    def __exit__(self, *_: object) -> None:
        self._signals.raises, self._signals.flags = self._signals.number is None, False


class Watcher:
    """While it is entered, a second SIGINT ends the process when it has not been left `PATIENCE` afterwards.

    Python calls a signal's handler only between two of its own instructions, and one of them may be a long
    matrix product or a flush to a slow disk; so a thread, which the system wakes at once, keeps the promise.
    Where the system starts no more threads, there is none, and the handlers do what they can.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def __enter__(self) -> Self:
        from threading import Event, Thread

        reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._left = Event()
        self._thread = Thread(target=self._watch, args=(reading,), daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            os.close(reading)
        else:
            self._signals.watcher = self
            self._previous = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        if self._signals.watcher is self:
            self._signals.watcher = None
            signal.set_wakeup_fd(self._previous)
        os.close(self._writing)
        if self._thread.ident is not None:
            self._thread.join()

    def send_again(self, number: int) -> None:
        os.write(self._writing, bytes([_AGAIN, number]))

    def _watch(self, reading: int) -> None:
        """Reads the numbers of signals, which Python's own handler writes, until the pipe is closed."""
        interrupts = 0
        with open(reading, "rb", buffering=0) as numbers:
            while read := numbers.read(1):
                if read[0] == _AGAIN:
                    number = numbers.read(1)[0]
                    interrupts -= number == signal.SIGINT
                    if not self._left.wait(SENT_AGAIN_AFTER):
                        os.kill(os.getpid(), number)
                interrupts += read[0] == signal.SIGINT
                if interrupts == 2 and not self._left.wait(PATIENCE):
                    self._signals.end_process(signal.SIGINT)
