"""The matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from dltrain.autodiff.graph import Node, Tensor, TensorLike, name_scope
from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.bases import operands, require_float, require_same_dtype
from dltrain.autodiff.ops.shape import reshape
from dltrain.autodiff.spec import Array, Spec, broadcast_shapes
from dltrain.errors import GraphError

__all__ = ["matmul"]


@dataclass(frozen=True)
class Matmul(Op):
    """a b over the last two axes, either of which may be transposed first."""

    transpose_a: bool = False
    transpose_b: bool = False

    def infer(self, a: Spec, b: Spec) -> Spec:
        require_same_dtype(a, b)
        require_float(a, b)
        if a.rank < 2 or b.rank < 2:
            raise GraphError("a matrix has two axes or more", fix="use expand_dims() on vectors")
        rows, inner_a = reversed(a.shape[-2:]) if self.transpose_a else a.shape[-2:]
        inner_b, columns = reversed(b.shape[-2:]) if self.transpose_b else b.shape[-2:]
        if inner_a != inner_b:
            raise GraphError(f"the inner dimensions {inner_a} and {inner_b} differ")
        return a.with_shape((*broadcast_shapes(a.shape[:-2], b.shape[:-2]), rows, columns))

    def operations(self, inputs: Sequence[Spec], output: Spec) -> int:
        """2 n k m for [n, k] times [k, m]: a product and a sum each."""
        return 2 * inputs[0].sizes[-2 if self.transpose_a else -1] * prod(output.sizes)

    def compute(self, a: Array, b: Array, *, out: Array) -> None:
        np.matmul(
            a.swapaxes(-1, -2) if self.transpose_a else a,
            b.swapaxes(-1, -2) if self.transpose_b else b,
            out=out,
        )

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        a, b = node.inputs
        if self.transpose_a:
            gradient_a = matmul(b, upstream, transpose_a=self.transpose_b, transpose_b=True)
        else:
            gradient_a = matmul(upstream, b, transpose_b=not self.transpose_b)
        if self.transpose_b:
            gradient_b = matmul(upstream, a, transpose_a=True, transpose_b=self.transpose_a)
        else:
            gradient_b = matmul(a, upstream, transpose_a=not self.transpose_a)
        return gradient_a, gradient_b


def matmul(
    a: TensorLike,
    b: TensorLike,
    transpose_a: bool = False,
    transpose_b: bool = False,
    name: str | None = None,
) -> Tensor:
    """The product of matrices `[..., n, k]` and `[..., k, m]`, of shape `[..., n, m]`; float32 or float64.

    A stack times one matrix is one product, of all the stack's rows.

    Arguments:
        a, b: matrices, or stacks of matrices whose leading dimensions broadcast.
        transpose_a, transpose_b: swap the last two axes of that operand first.

    Raises:
        GraphError: fewer than two axes, or inner dimensions that differ.
    """
    left, right = operands(a, b)
    product = Matmul(transpose_a, transpose_b)
    if left.spec.rank > 2 and right.spec.rank == 2 and not transpose_a:
        inner, columns = right.shape[::-1] if transpose_b else right.shape
        if left.shape[-1] == inner:
            with left.graph, name_scope(name or "matmul"):
                rows = reshape(left, (-1, inner)) if inner else left
                return reshape(product(rows, right), (*left.shape[:-1], columns))
    return product(left, right, name=name)
