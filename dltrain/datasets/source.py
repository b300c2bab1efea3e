"""Source: the inputs of examples, wherever they lie, read some at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = tuple(np.dtype(name) for name in ("uint8", "float32", "float64"))


class Source(ABC):
    """The inputs of examples.

    A data set whose examples do not lie in one array has a class of its own: of files one of which is an
    example, for instance. It says `shape` and `dtype`, its length, and how examples are read. Floating ones
    are read once more when the data set is loaded, to be checked.

    Attributes:
        shape: of one example.
        dtype: in which `take` gives them: uint8, float32 or float64.
        array: all of them, `dtype`[examples, *shape], where they lie in memory, or are mapped, just so: in C
            order, aligned, in the machine's order of bytes. Graphs then read them there. None: they are read
            by `take`.
        ahead: whether a thread is to read them, a batch ahead of the one that is computed with; that pays
            where reading waits, as for a disk.
        nbytes: of the memory, or of mapped files, that they take.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    array: NDArray[Any] | None = None
    ahead: bool = True
    nbytes: int = 0

    @abstractmethod
    def __len__(self) -> int:
        """How many examples there are."""

    @abstractmethod
    def take(self, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Fill `out` with some of the examples; one call at a time, but not always of the same thread.

        Arguments:
            rows: int64[batch], which ones, each from 0 to `len() - 1`, in any order.
            out: `dtype`[batch, *shape], in C order.

        Raises:
            DataError: a file is missing or damaged. Training then saves a checkpoint, and ends.
        """


class ArraySource(Source):
    """Examples in an array, which may be mapped from a file, in any order of bytes and at any address.

    Arguments:
        stored: [examples, *shape], uint8 or floating.
    """

    ahead = False

    def __init__(self, stored: NDArray[Any]) -> None:
        self._stored = np.ascontiguousarray(stored)
        native = stored.dtype.newbyteorder("=")
        self.shape, self.nbytes = stored.shape[1:], stored.nbytes
        self.dtype = np.dtype(np.float32) if native.kind == "f" and native not in DTYPES else native
        if self._stored.flags.aligned and stored.dtype == self.dtype:
            self.array = self._stored

    def __len__(self) -> int:
        return len(self._stored)

    def take(self, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
        if self.array is not None:
            np.take(self.array, rows, 0, out, "clip")  # "raise" would buffer
            return
        # As bytes: of an array that is not aligned NumPy would first make an aligned copy of it all.
        stored = self._stored
        taken = out if stored.dtype == out.dtype else np.empty(out.shape, stored.dtype)
        whole, parts = (array.reshape(len(array), -1).view(np.uint8) for array in (stored, taken))
        whole.take(rows, 0, parts, "clip")
        if taken is not out:
            np.copyto(out, taken, casting="same_kind")
