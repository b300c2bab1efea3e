"""Storage: where a session's variables lie, in one block a dtype."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from dltrain.autodiff.graph import Tensor, Variable
from dltrain.autodiff.layout import Layout
from dltrain.compiler.buffers import Block, Buffer
from dltrain.compiler.ir import Node


class Storage:
    """Variables that are allocated together lie one after the other, the trainable ones first.

    Memory never moves: variables that come later get a block of their own.
    """

    def __init__(self) -> None:
        self._buffers: dict[Tensor, Buffer] = {}

    def __contains__(self, variable: Tensor) -> bool:
        return variable in self._buffers

    def __getitem__(self, variable: Tensor) -> Buffer:
        """Where the variable lies, in its shape."""
        return self._buffers[variable]

    def allocate(self, variables: Iterable[Variable]) -> None:
        """Give memory to those of `variables` that have none."""
        by_dtype: dict[np.dtype[Any], list[Variable]] = {}
        for variable in sorted(variables, key=lambda variable: not variable.trainable):
            if variable not in self._buffers:
                by_dtype.setdefault(variable.dtype, []).append(variable)
        for dtype, group in by_dtype.items():
            sizes = [prod(variable.spec.sizes) for variable in group]
            block = Block(sum(sizes) * dtype.itemsize)
            start = 0
            for variable, size in zip(group, sizes, strict=True):
                self._buffers[variable] = Buffer(block, Layout.contiguous(variable.spec.sizes, start), dtype)
                start += size

    def joint(self, variables: Sequence[Tensor]) -> Buffer | None:
        """Where all `variables` lie, as one vector, if they follow each other without a gap."""
        first = self._buffers[variables[0]]
        end = first.layout.offset
        for variable in variables:
            buffer = self._buffers[variable]
            if buffer.block is not first.block or buffer.layout.offset != end:
                return None
            end = buffer.layout.end
        return first.at(Layout.contiguous((end - first.layout.offset,), first.layout.offset))

    def read(self, node: Node) -> Buffer | None:
        """Where the numbers lie that the node reads out as they are; None if it does anything else."""
        if (variable := node.variable) is not None:
            return self._buffers[variable]
        if not node.op.is_join:
            return None
        variables = [source.variable for source in node.inputs]
        if None in variables:
            return None
        buffers = [self._buffers[variable] for variable in variables if variable is not None]
        first = buffers[0]
        whole = first.at(Layout.contiguous(node.spec.sizes, first.layout.offset))
        parts = node.op.parts(whole.layout, [buffer.layout.shape for buffer in buffers])
        together = all(buffer.block is first.block for buffer in buffers)
        return whole if together and [buffer.layout for buffer in buffers] == list(parts) else None
