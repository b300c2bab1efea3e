"""Memory for what the compiler has planned."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dltrain.autodiff.spec import Array
from dltrain.compiler.buffers import Buffer

ALIGNMENT = 64  # bytes: a cache line, and the widest vector registers


def aligned_empty(nbytes: int) -> Array:
    """Uninitialised bytes that begin on a cache line."""
    raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]


def array_of(buffer: Buffer) -> Array:
    """The array in the buffer's place; its block gets memory with the first array that lies in it."""
    block, layout, dtype = buffer
    if block.memory is None:
        block.memory = aligned_empty(block.nbytes)
    return layout.array(block.memory, dtype)


def distinct_bytes(arrays: Iterable[Array]) -> int:
    """Bytes of the arrays, those at one address once: tiles write the same scratch again and again."""
    by_size = sorted(arrays, key=lambda array: array.nbytes)
    return sum({array.ctypes.data: array.nbytes for array in by_size}.values())
