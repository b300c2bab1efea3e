"""Scratch: memory that calls of a plan use while they run."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from dltrain.autodiff.spec import Array
from dltrain.backends.memory import aligned_empty

USUAL = 131_072  # bytes of a row
SPARE = 16  # times what a small row is first needed for: a group of many numbers has a row for each


class Scratch:
    """Rows of memory that all calls of a plan share: what one leaves there is lost in the next."""

    def __init__(self) -> None:
        self._rows: list[Array] = []

    @property
    def bytes(self) -> int:
        return sum(row.nbytes for row in self._rows)

    def array(self, row: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array in one of the rows, which is made, or made larger, where it must."""
        needed = prod(shape) * dtype.itemsize
        while len(self._rows) <= row:
            self._rows.append(aligned_empty(0))
        if needed > self._rows[row].nbytes:
            self._rows[row] = aligned_empty(max(needed, min(SPARE * needed, USUAL)))
        return self._rows[row][:needed].view(dtype).reshape(shape)
