"""The threads that run native plans."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Sequence
from functools import partial

from dltrain.backends.c.call import CallFields, CCall, c_text
from dltrain.backends.numpy.tiles import Call
from dltrain.compiler.ir import KernelError
from dltrain.errors import DltrainWarning, GraphError


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

    def call(self, calls: Sequence[CCall]) -> Call:
        """One call that runs all of `calls`, which are bound, in order."""
        fields = (CallFields * len(calls))(*(call.fields for call in calls))
        run = partial(self._run, fields, ctypes.c_int64(len(calls)))
        if not any(call.checked for call in calls):
            return run

        def checked_run() -> None:
            if failed := run():
                number, check = divmod(failed, 2**32)
                node, kernel = calls[number].checked[check - 1]
                try:
                    kernel()
                except GraphError as error:
                    raise KernelError(node, error) from None
                raise KernelError(node, GraphError("the native kernel refused its input"))

        return checked_run
