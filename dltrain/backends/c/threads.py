"""Threads that run calls of C functions (threads.c)."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable, Sequence
from functools import partial

from dltrain.backends.backend import Call
from dltrain.backends.c.call import CallFields, CCall, c_text
from dltrain.errors import DltrainWarning


def runtime_source() -> str:
    """C with `start_threads`, `run` and `scan`."""
    return c_text("threads.c") + c_text("scan.c")


class Threads:
    """Threads of this process, which all sessions share, and how many of them one session uses.

    Arguments:
        library: of `runtime_source`.
        wanted: how many calls may use, the one that calls counted.
    """

    def __init__(self, library: ctypes.CDLL, wanted: int) -> None:
        self._start, self._run = library.start_threads, library.run
        self._start.restype = self._run.restype = ctypes.c_int64
        self._wanted = self.number = wanted
        self.start()

    def start(self) -> None:
        """See that they are there; in a process that was forked off they are not."""
        missing = self._start(ctypes.c_int64(self._wanted))
        self.number = self._wanted - missing
        if missing:
            used = f"{self.number} of {self._wanted} threads are used"
            warnings.warn(DltrainWarning(f"{used}: the system starts no more"), stacklevel=2)

    def call(self, calls: Sequence[CCall]) -> Call:
        """One call that makes all of `calls`, which are bound, in order."""
        fields = (CallFields * len(calls))(*(call.fields for call in calls))
        size = ctypes.sizeof(CallFields)
        parts = tuple(
            Call(
                self._runs(ctypes.byref(fields, place * size), [call]),
                call.work.nodes,
                call.work.nodes,
                tuple(call.work.outputs),
                function=call.name,
                source=call.written,
                kept=call,
            )
            for place, call in enumerate(calls)
        )
        if len(parts) == 1:
            return parts[0]
        nodes = tuple(node for part in parts for node in part.nodes)
        writes = tuple(array for part in parts for array in part.writes)
        return Call(self._runs(fields, calls), nodes, nodes, writes, parts=parts)

    def _runs(self, fields: object, calls: Sequence[CCall]) -> Callable[[], object]:
        run = partial(self._run, fields, ctypes.c_int64(len(calls)), ctypes.c_int64(self.number))
        if not any(call.refuses for call in calls):
            return partial(run, ctypes.c_int64(0))

        def checked_run() -> None:
            """Between calls of C, Python sees to signals; that of a loop returns for them now and then."""
            number = run(ctypes.c_int64(0))
            while number:
                number = calls[number - 1].after_refusal(number) if number > 0 else number
                number = run(ctypes.c_int64(number))

        return checked_run
