"""Buffers: memory as the compiler plans it. A backend makes what is planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dltrain.autodiff.layout import Layout
from dltrain.autodiff.spec import Spec


@dataclass(eq=False, slots=True)
class Block:
    """Memory in one piece.

    Attributes:
        nbytes: how much.
        memory: what a backend has made of it; None before. That of a constant are its numbers, an array.
    """

    nbytes: int
    memory: Any = None


class Buffer(NamedTuple):
    """Where an array is to lie."""

    block: Block
    layout: Layout
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, spec: Spec, memory: Any = None) -> Buffer:
        """A block of its own, row by row."""
        layout = Layout.contiguous(spec.sizes)
        return cls(Block(layout.size * spec.dtype.itemsize, memory), layout, spec.dtype)

    @property
    def offset(self) -> int:
        """Of the first number in the block, in bytes."""
        return self.layout.offset * self.dtype.itemsize

    @property
    def is_contiguous(self) -> bool:
        return self.layout.is_contiguous

    def at(self, layout: Layout) -> Buffer:
        """Other numbers of the same block."""
        return Buffer(self.block, layout, self.dtype)

    def overlaps(self, other: Buffer) -> bool:
        """Whether the stretches of memory that the two lie in have a byte in common."""
        if self.block is not other.block:
            return False
        start, end = self.offset, self.layout.end * self.dtype.itemsize
        return start < other.layout.end * other.dtype.itemsize and other.offset < end
