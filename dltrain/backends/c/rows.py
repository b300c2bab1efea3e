"""Rows of a matrix of bytes as float32: how examples that are stored as bytes become a batch."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dltrain.backends.c.cache import load
from dltrain.backends.c.compiler import Compiler
from dltrain.backends.c.runtime import runtime_source

TakeRows = Callable[[NDArray[np.uint8], NDArray[np.int64], float, NDArray[np.float32]], None]
"""take_rows(source, rows, scale, out) fills out, [rows, width], with scale times the rows of source,
[stored, width]. All are in C order, and every one of `rows` is that of a row."""


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
