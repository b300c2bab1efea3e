"""Storage: the memory of a session's variables, one flat array a dtype."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from dltrain.autodiff.graph import ReadVariable, Variable
from dltrain.autodiff.ops.slices import Pack
from dltrain.autodiff.spec import Array
from dltrain.compiler.ir import Node

ALIGNMENT = 64  # bytes: a cache line, and the widest vector registers


def aligned_empty(size: int, dtype: np.dtype[Any]) -> Array:
    """An uninitialised vector of `size` elements that begins on a cache line."""
    raw = np.empty(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)


def is_same_memory(one: Array, other: Array) -> bool:
    """Whether both are the same elements, in the same shape."""
    return (one.ctypes.data, one.shape, one.strides) == (other.ctypes.data, other.shape, other.strides)


class Storage:
    """Variables that are allocated together lie one after the other, the trainable ones first.

    Memory never moves: variables that come later get an array of their own.
    """

    def __init__(self) -> None:
        self._flat: dict[Variable, tuple[Array, int]] = {}  # the flat array, and where the variable starts

    def __contains__(self, variable: Variable) -> bool:
        return variable in self._flat

    def allocate(self, variables: Iterable[Variable]) -> None:
        """Give memory to those of `variables` that have none."""
        by_dtype: dict[np.dtype[Any], list[Variable]] = {}
        for variable in sorted(variables, key=lambda variable: not variable.trainable):
            if variable not in self._flat:
                by_dtype.setdefault(variable.dtype, []).append(variable)
        for dtype, group in by_dtype.items():
            sizes = [prod(variable.spec.sizes) for variable in group]
            flat = aligned_empty(sum(sizes), dtype)
            start = 0
            for variable, size in zip(group, sizes, strict=True):
                self._flat[variable] = (flat, start)
                start += size

    def array(self, variable: Variable) -> Array:
        """The memory of the variable, in its shape."""
        flat, start = self._flat[variable]
        shape = variable.spec.sizes
        return flat[start : start + prod(shape)].reshape(shape)

    def joint(self, variables: Sequence[Variable]) -> Array | None:
        """The memory of all `variables` as one vector, if they follow each other without a gap."""
        flat, first = self._flat[variables[0]]
        end = first
        for variable in variables:
            its_flat, start = self._flat[variable]
            if its_flat is not flat or start != end:
                return None
            end += prod(variable.spec.sizes)
        return flat[first:end]

    def read(self, node: Node) -> Array | None:
        """The memory, as one vector, that the node reads out as it is; None if it does anything else."""
        variables = []
        for source in node.inputs if isinstance(node.op, Pack) else (node,):
            if not isinstance(source.op, ReadVariable) or not isinstance(source.origin, Variable):
                return None
            variables.append(source.origin)
        return self.joint(variables)
