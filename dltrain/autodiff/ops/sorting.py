"""Order along an axis: argsort, sort and the k greatest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dltrain.autodiff.graph import Tensor, TensorLike, name_scope
from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.bases import operand
from dltrain.autodiff.ops.gather import take_along_axis
from dltrain.autodiff.spec import Array, Spec, normalize_axis, whole
from dltrain.errors import GraphError

__all__ = ["argsort", "sort", "top_k"]


@dataclass(frozen=True)
class Argsort(Op):
    """Where along the axis the least is, the second least, ...; or the greatest first."""

    axis: int
    descending: bool

    def infer(self, x: Spec) -> Spec:
        return x.with_dtype("int64")

    def compute(self, x: Array, *, out: Array) -> None:
        if not self.descending:
            out[...] = np.argsort(x, self.axis, kind="stable")
        else:  # from the end to the front, read backwards: what ties stays in its order
            backwards = np.flip(np.argsort(np.flip(x, self.axis), self.axis, kind="stable"), self.axis)
            np.subtract(x.shape[self.axis] - 1, backwards, out=out)


def argsort(x: TensorLike, axis: int = -1, descending: bool = False, name: str | None = None) -> Tensor:
    """The positions along the axis of the least, the second least, ...; int64, no derivative.

    What ties stays in its order, and nan is greater than all numbers.

    Arguments:
        descending: the greatest first.
    """
    tensor = operand(x)
    return Argsort(normalize_axis(axis, tensor.spec.rank), descending)(tensor, name=name)


def sort(x: TensorLike, axis: int = -1, descending: bool = False, name: str | None = None) -> Tensor:
    """The numbers along the axis in ascending or descending order, as `argsort` has it."""
    tensor = operand(x)
    with tensor.graph, name_scope(name or "sort"):
        return take_along_axis(tensor, argsort(tensor, axis, descending), axis)


def top_k(x: TensorLike, k: int, axis: int = -1, name: str | None = None) -> tuple[Tensor, Tensor]:
    """The k greatest along the axis, the greatest first, and their positions.

    Arguments:
        x: `[..., size, ...]` with `size` at the axis.
        k: from 1 to size, which is no named dimension.

    Returns:
        values: `[..., k, ...]`, of x's dtype.
        positions: of the same shape, int64; what ties is in its order.

    Raises:
        GraphError: k is out of range, or the size has none.
    """
    tensor = operand(x)
    with tensor.graph, name_scope(name or "top_k"):
        place = normalize_axis(axis, tensor.spec.rank)
        size, k = tensor.shape[place], whole(k, "k")
        if isinstance(size, int) and not 0 < k <= size:
            raise GraphError(f"there are no {k} greatest of {size} numbers")
        order = argsort(tensor, place, descending=True)
        positions = order[(slice(None),) * place + (slice(k),)]
        return take_along_axis(tensor, positions, place), positions
