"""The cumulative sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dltrain.autodiff.graph import Node, Tensor, TensorLike
from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.bases import operand, require_number
from dltrain.autodiff.spec import Array, Spec, normalize_axis

__all__ = ["cumsum"]


@dataclass(frozen=True)
class Cumsum(Op):
    """The sums of the first 1, 2, ... numbers along the axis."""

    axis: int
    reverse: bool
    exclusive: bool

    def infer(self, x: Spec) -> Spec:
        require_number(x)
        return x

    def compute(self, x: Array, *, out: Array) -> None:
        x, sums = np.moveaxis(x, self.axis, 0), np.moveaxis(out, self.axis, 0)
        if self.reverse:
            x, sums = x[::-1], sums[::-1]
        if self.exclusive:
            x, sums, first = x[:-1], sums[1:], sums[:1]
            first.fill(0)
        np.add.accumulate(x, axis=0, out=sums)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        """An element is in the sums of its own place and of those behind it: they are summed from the end."""
        return Cumsum(self.axis, not self.reverse, self.exclusive)(upstream)


def cumsum(
    x: TensorLike, axis: int = -1, reverse: bool = False, exclusive: bool = False, name: str | None = None
) -> Tensor:
    """The cumulative sum: for axis 0 `result[i] = x[0] + ... + x[i]`. float32, float64 or int64.

    Arguments:
        reverse: sum from the end, `x[i] + ... + x[n - 1]`.
        exclusive: leave out the element itself; the first sum (with `reverse` the last) is 0.
    """
    tensor = operand(x)
    return Cumsum(normalize_axis(axis, tensor.spec.rank), reverse, exclusive)(tensor, name=name)
