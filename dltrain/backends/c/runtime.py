"""The threads that run native plans."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Sequence
from functools import partial
from itertools import groupby

from dltrain.backends.c.native_call import CallFields, NativeCall
from dltrain.backends.c.shared import c_text
from dltrain.backends.calls import NodesCall
from dltrain.backends.numpy.tiles import Call
from dltrain.errors import DltrainWarning


def runtime_source() -> str:
    """C with `use_threads`, `run` and `take_rows`."""
    return c_text("threads.c") + c_text("rows.c")


class Runner:
    """The threads of this process.

    Arguments:
        library: of `runtime_source`.
        threads: how many calls may use.
    """

    def __init__(self, library: ctypes.CDLL, threads: int) -> None:
        library.use_threads.restype = ctypes.c_int64
        if missing := library.use_threads(ctypes.c_int64(threads)):
            used = f"{threads - missing} of {threads} threads are used"
            warnings.warn(DltrainWarning(f"{used}: the system starts no more"), stacklevel=2)
        self._run = library.run
        self._run.restype = ctypes.c_int64

    def call(self, calls: Sequence[NativeCall]) -> Call:
        """One call that runs all of `calls` in order."""
        fields = (CallFields * len(calls))(*(call.fields for call in calls))
        run = partial(self._run, fields, ctypes.c_int64(len(calls)))
        if not any(call.checks for call in calls):
            return run

        def checked_run() -> None:
            if failed := run():
                number, check = divmod(failed, 2**32)
                calls[number].checks[check - 1].fail()

        return checked_run

    def joined(self, calls: Sequence[NodesCall]) -> list[NodesCall]:
        """The same calls, native ones in a row joined into one."""
        result: list[NodesCall] = []
        for native, neighbours in groupby(calls, key=lambda call: call.native is not None):
            listed = list(neighbours)
            if not native:
                result += listed
                continue
            nodes = tuple(node for call in listed for node in call.nodes)
            writes = tuple(array for call in listed for array in call.writes)
            natives = [call.native for call in listed if call.native is not None]
            result.append(NodesCall(nodes, self.call(natives), nodes, writes))
        return result
