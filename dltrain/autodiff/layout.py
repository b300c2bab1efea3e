"""Layout: where the numbers of an array lie in memory, as arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Layout(NamedTuple):
    """The number at index i of an array lies `offset + sum(i * strides)` numbers behind where memory begins.

    Attributes:
        shape: sizes.
        strides: from one number to the next along each axis, in numbers; 0 where one is repeated.
        offset: of the first number, in numbers.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @classmethod
    def contiguous(cls, shape: tuple[int, ...], offset: int = 0) -> Layout:
        """Row by row, without gaps."""
        return cls(shape, _row_by_row(shape), offset)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Whether it is row by row, without gaps."""
        if self.strides == (expected := _row_by_row(self.shape)) or not self.size:
            return True
        lying = zip(self.shape, self.strides, expected, strict=True)
        return all(size == 1 or stride == other for size, stride, other in lying)

    @property
    def end(self) -> int:
        """One behind the last number."""
        last = sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        return self.offset + last + 1 if self.size else self.offset

    def array(self, memory: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
        """The array that lies so in memory."""
        size = dtype.itemsize
        strides = [stride * size for stride in self.strides]
        return np.ndarray(self.shape, dtype, memory, self.offset * size, strides)

    def moved(self, offset: int) -> Layout:
        """The same, `offset` numbers later."""
        return Layout(self.shape, self.strides, self.offset + offset)

    def reshape(self, shape: tuple[int, ...]) -> Layout | None:
        """The same numbers in the same order, in another shape; None where they do not lie as that takes."""
        if self.is_contiguous:
            return Layout(shape, _row_by_row(shape), self.offset)
        runs: list[tuple[int, int]] = []  # of axes over which it steps evenly: size and stride
        for size, stride in zip(self.shape, self.strides, strict=True):
            if runs and runs[-1][1] == size * stride:
                runs[-1] = (runs[-1][0] * size, stride)
            elif size != 1:
                runs.append((size, stride))
        strides = []
        rest, step = 1, 1  # of the run that is being cut
        for size in reversed(shape):
            if rest == 1 and size != 1:
                rest, step = runs.pop()
            if rest % size:
                return None
            strides.append(step)
            rest, step = rest // size, step * size
        return Layout(shape, tuple(reversed(strides)), self.offset)

    def transpose(self, axes: Sequence[int]) -> Layout:
        """With the axes in another order."""
        shape, strides = tuple([self.shape[axis] for axis in axes]), [self.strides[axis] for axis in axes]
        return Layout(shape, tuple(strides), self.offset)

    def broadcast_to(self, shape: tuple[int, ...]) -> Layout:
        """Repeated along new leading axes and along axes of size 1."""
        new = (0,) * (len(shape) - len(self.shape))
        pairs = zip(self.shape, self.strides, strict=True)
        kept = tuple([0 if size == 1 else stride for size, stride in pairs])
        return Layout(shape, new + kept, self.offset)

    def part(self, key: Sequence[int | slice | None]) -> Layout:
        """As Python's `array[key]`, where the key has an index, a slice or a None for every axis.

        Raises:
            IndexError: an index is out of range.
        """
        shape: list[int] = []
        strides: list[int] = []
        offset = self.offset
        axes = enumerate(zip(self.shape, self.strides, strict=True))
        for place in key:
            if place is None:
                shape.append(1)
                strides.append(0)
                continue
            axis, (size, stride) = next(axes)
            if isinstance(place, slice):
                taken = range(size)[place]
                shape.append(len(taken))
                strides.append(stride * taken.step)
                offset += taken.start * stride
            elif -size <= place < size:
                offset += place % size * stride
            else:
                raise IndexError(f"index {place} is out of bounds for axis {axis} with size {size}")
        return Layout(tuple(shape), tuple(strides), self.offset if 0 in shape else offset)


@lru_cache(maxsize=1024)
def _row_by_row(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))
