"""What threads.c and rows.c do: plans run on threads; rows of bytes become a batch of float32."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dltrain.backends.c.cache import load
from dltrain.backends.c.call import CallFields, CCall, c_text
from dltrain.backends.c.compiler import Compiler
from dltrain.backends.calls import Call
from dltrain.compiler.ir import KernelError
from dltrain.errors import DltrainWarning, GraphError

TakeRows = Callable[[NDArray[np.uint8], NDArray[np.int64], float, NDArray[np.float32]], None]
"""take_rows(source, rows, scale, out) fills out, [rows, width], with scale times the rows of source,
[stored, width]. All are in C order, and every one of `rows` is that of a row."""


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


def native_take_rows(compiler: Compiler) -> TakeRows:
    """
    Raises:
        CompilerError: the compiler refused.
        StorageError: the kernel cache cannot be used.
    """
    (library,) = load([runtime_source()], compiler)
    function = library.take_rows
    function.argtypes = (*[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2, ctypes.c_float, ctypes.c_void_p)
    function.restype = None

    def take_rows(
        source: NDArray[np.uint8], rows: NDArray[np.int64], scale: float, out: NDArray[np.float32]
    ) -> None:
        function(source.ctypes.data, rows.ctypes.data, len(rows), source.shape[1], scale, out.ctypes.data)

    return take_rows
