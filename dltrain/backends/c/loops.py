"""Loop nests over arrays of any strides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dltrain.autodiff.spec import Array
from dltrain.backends.c.function import CFunction

SHORT = 8
"""Sizes of innermost loops, and strides, up to this one are part of a function's text: compilers then unroll
such loops, and fill the registers with several turns of the one around."""

Strides = tuple[
    int, ...
]  # of one array, in numbers, along each axis or for each loop; 0 where it is repeated


@dataclass(frozen=True)
class Loop:
    """A loop, and how far each of the arrays steps in it."""

    size: int
    strides: Strides


def broadcast_strides(array: Array, rank: int) -> Strides:
    """Of the array where it is broadcast to a shape of `rank` axes."""
    own = [
        0 if size == 1 else stride // array.itemsize
        for size, stride in zip(array.shape, array.strides, strict=True)
    ]
    return (*[0] * (rank - len(own)), *own)


def merged_loops(shape: Sequence[int], strides: Sequence[Strides]) -> list[Loop]:
    """The fewest loops that visit all elements of all arrays, which have these strides along the axes.

    Dimensions of size 1 need no loop, and neighbouring ones over which all arrays step evenly need only one.
    """
    loops: list[Loop] = []
    for axis, size in enumerate(shape):
        steps = tuple([along[axis] for along in strides])
        if size == 1:
            continue
        if loops and loops[-1].strides == tuple([step * size for step in steps]):
            loops[-1] = Loop(loops[-1].size * size, steps)
        else:
            loops.append(Loop(size, steps))
    return loops


class Place:
    """How loops reach an array's elements.

    Attributes:
        depth: the number of loops in which the address still changes.
    """

    def __init__(self, function: CFunction, array: Array, strides: Strides, write: bool = False) -> None:
        self._pointer = function.pointer(array, write=write)
        self._strides = [str(s) if 0 <= s <= SHORT else function.size(s) for s in strides]
        self.depth = max((loop + 1 for loop, stride in enumerate(strides) if stride), default=0)

    def element(self, indices: Sequence[str]) -> str:
        """The element at an index for each loop; fewer are enough if the address changes in no other one."""
        terms = [
            index if stride == "1" else f"{index} * {stride}"
            for index, stride in zip(indices, self._strides, strict=False)
            if stride != "0"
        ]
        return f"{self._pointer}[{' + '.join(terms) or '0'}]"
