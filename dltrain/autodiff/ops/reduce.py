"""Reductions: sum, mean, max, min, argmax, logsumexp.

Their functions take `axis` (one, several, or None for all; negative ones count from the end) and
`keepdims` (leave each reduced axis in place with size 1).
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Protocol

import numpy as np

from dltrain.autodiff.graph import Node, Tensor, TensorLike, name_scope
from dltrain.autodiff.leaves import as_tensor
from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.bases import document, operand, require_float, require_number
from dltrain.autodiff.ops.exponential import exp, log
from dltrain.autodiff.ops.logic import equal, is_finite, where
from dltrain.autodiff.ops.shape import broadcast_to, expand_dims, squeeze, stop_gradient
from dltrain.autodiff.spec import Array, Spec, normalize_axes, normalize_axis
from dltrain.errors import GraphError

__all__ = ["argmax", "logsumexp", "max", "mean", "min", "sum"]

Axes = int | Sequence[int] | None
BLOCK = 1024  # numbers that are added up one after the other


@dataclass(frozen=True)
class Reduction(Op, abstract=True):
    """One number from all those along `axes` (sorted, counted from the front).

    The plan may compile it where `combine` is C for what {0}, the result so far, becomes with {1}, one more
    number or another result. `finish` is C for what is made of {0}, the result of {1} numbers.
    """

    finish: ClassVar[str] = "{0}"

    axes: tuple[int, ...]
    keepdims: bool

    def infer(self, x: Spec) -> Spec:
        require_number(x)
        if self.keepdims:
            return x.with_shape(1 if axis in self.axes else size for axis, size in enumerate(x.shape))
        return x.with_shape(size for axis, size in enumerate(x.shape) if axis not in self.axes)

    def neutral(self, dtype: np.dtype[Any]) -> str:
        """The result of no numbers, in C: combined with a number it is that number."""
        return "0"

    def expanded(self, reduced: Tensor) -> Tensor:
        """A tensor of the output's shape with the reduced axes back in place, as size 1."""
        return reduced if self.keepdims or not self.axes else expand_dims(reduced, self.axes)


class Sum(Reduction):
    """The sum along the axes; 0 along an empty one. float32, float64 or int64."""

    combine = "({0} + {1})"

    def compute(self, x: Array, *, out: Array) -> None:
        if self.axes == (0,) and x.ndim == 2 and x.dtype.kind == "f" and len(x) <= BLOCK:
            # The gradient of every bias is such a sum: BLAS adds up rows in half of NumPy's time and less.
            np.dot(_ones(len(x), x.dtype), x, out=out.reshape(-1))
        else:
            _add_up(x, self.axes, out, self.keepdims)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return broadcast_to(self.expanded(upstream), node.inputs[0].shape)


@lru_cache(maxsize=16)
def _ones(count: int, dtype: np.dtype[Any]) -> Array:
    return np.ones(count, dtype)


def _add_up(x: Array, axes: tuple[int, ...], out: Array, keepdims: bool) -> None:
    """np.add.reduce, but for long float sums that NumPy would add up one number after the other.

    So it does along all axes but the innermost ones, and 2^25 ones of float32 would be 2^24. Here at most
    BLOCK numbers are added to each other before their sum is added to others.
    """
    if x.size > BLOCK and x.dtype.kind == "f" and _count(x, axes) > BLOCK:
        outer = _outer_axes(x, axes)
        if _count(x, outer) > BLOCK:
            for axis in outer:
                x = _summed_in_blocks(x, axis)
    np.add.reduce(x, axis=axes, out=out, keepdims=keepdims)


def _outer_axes(x: Array, axes: tuple[int, ...]) -> list[int]:
    """Those of `axes` that do not lie together innermost in memory, where NumPy adds in pairs."""
    long = [axis for axis in range(x.ndim) if x.shape[axis] > 1]
    long.sort(key=lambda axis: builtins.abs(x.strides[axis]))
    together = x.strides[long[0]]
    for place, axis in enumerate(long):
        if axis not in axes or x.strides[axis] != together:
            return [axis for axis in long[place:] if axis in axes]
        together *= x.shape[axis]
    return []


def _summed_in_blocks(x: Array, axis: int) -> Array:
    """The sum along one axis, of size 1 then; by BLAS, which takes a fraction of NumPy's time."""
    x = np.moveaxis(x, axis, -2)
    while x.shape[-2] > BLOCK:
        whole = x.shape[-2] // BLOCK * BLOCK
        blocks = x[..., :whole, :].reshape(*x.shape[:-2], -1, BLOCK, x.shape[-1])
        rest = x[..., whole:, :]
        sums = [_ones(BLOCK, x.dtype) @ blocks, (_ones(rest.shape[-2], x.dtype) @ rest)[..., None, :]]
        x = np.concatenate(sums, axis=-2)
    total: Array = (_ones(x.shape[-2], x.dtype) @ x)[..., None, :]
    return np.moveaxis(total, -2, axis)


class Mean(Reduction):
    """The arithmetic mean along the axes; nan along an empty one. float32 or float64."""

    combine, finish = Sum.combine, "{0} / {1}"

    def infer(self, x: Spec) -> Spec:
        require_float(x)
        return super().infer(x)

    def compute(self, x: Array, *, out: Array) -> None:
        _add_up(x, self.axes, out, self.keepdims)
        np.divide(out, _count(x, self.axes), out=out)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        (x,) = node.inputs
        share = upstream / Size(self.axes, x.dtype)(x)
        return broadcast_to(self.expanded(share), x.shape)


@dataclass(frozen=True)
class Size(Op):
    """How many numbers x has along `axes`, as a float; of x only the shape is used."""

    axes: tuple[int, ...]
    dtype: np.dtype[Any]
    reads_shapes_only = True

    def infer(self, x: Spec) -> Spec:
        return Spec((), self.dtype)

    def compute(self, x: Array, *, out: Array) -> None:
        out[...] = _count(x, self.axes)

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        return (None,)


def _count(x: Array, axes: Sequence[int]) -> int:
    return math.prod(x.shape[axis] for axis in axes)


class Extremum(Reduction, abstract=True):
    """The greatest or the least."""

    choice: ClassVar[np.ufunc]  # of two numbers
    infinity: ClassVar[str]
    integer: ClassVar[str]

    def neutral(self, dtype: np.dtype[Any]) -> str:
        return self.infinity if dtype.kind == "f" else self.integer

    def compute(self, x: Array, *, out: Array) -> None:
        if out.size and not _count(x, self.axes):
            raise GraphError(f"an empty axis has no {self.label}")
        self.choice.reduce(x, axis=self.axes, out=out, keepdims=self.keepdims)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        (x,) = node.inputs
        attained = equal(x, self.expanded(node.output))
        ties = sum(where(attained, as_tensor(1, x.dtype), 0), self.axes, keepdims=True)
        return where(attained, self.expanded(upstream) / ties, 0)


class Max(Extremum):
    """The greatest along the axes, nan where one is nan; those that tie share the gradient equally.

    Raises:
        GraphError: an axis is empty (when it runs).
    """

    choice = np.maximum
    combine = "({0} < {1} ? {1} : {1} != {1} ? {1} : {0})"
    infinity, integer = "-__builtin_inf()", "INT64_MIN"


class Min(Extremum):
    """The least along the axes, nan where one is nan; those that tie share the gradient equally.

    Raises:
        GraphError: an axis is empty (when it runs).
    """

    choice = np.minimum
    combine = "({0} > {1} ? {1} : {1} != {1} ? {1} : {0})"
    infinity, integer = "__builtin_inf()", "INT64_MAX"


class ReductionFunction(Protocol):
    """A function of a tensor and of what `Reduction` is along."""

    def __call__(
        self, x: TensorLike, axis: Axes = None, keepdims: bool = False, name: str | None = None
    ) -> Tensor: ...


def _reduction(op: type[Reduction]) -> ReductionFunction:
    """The function that applies the op; it is documented where the op is."""

    def apply(x: TensorLike, axis: Axes = None, keepdims: bool = False, name: str | None = None) -> Tensor:
        tensor = operand(x)
        return op(normalize_axes(axis, tensor.spec.rank), keepdims)(tensor, name=name)

    document(apply, op)
    return apply


sum = _reduction(Sum)
mean = _reduction(Mean)
max = _reduction(Max)
min = _reduction(Min)


@dataclass(frozen=True)
class Argmax(Op):
    """Where along the axis the greatest is."""

    axis: int
    keepdims: bool

    def infer(self, x: Spec) -> Spec:
        kept = (1,) if self.keepdims else ()
        return Spec((*x.shape[: self.axis], *kept, *x.shape[self.axis + 1 :]), np.dtype(np.int64))

    def compute(self, x: Array, *, out: Array) -> None:
        if out.size and not x.shape[self.axis]:
            raise GraphError("an empty axis has no argmax")
        np.argmax(x, axis=self.axis, out=out, keepdims=self.keepdims)


def argmax(x: TensorLike, axis: int = -1, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The position along the axis of the greatest, the first of those that tie; int64, no derivative.

    Raises:
        GraphError: the axis is empty (when it runs).
    """
    tensor = operand(x)
    return Argmax(normalize_axis(axis, tensor.spec.rank), keepdims)(tensor, name=name)


def logsumexp(x: TensorLike, axis: Axes = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """log(sum(exp(x))) along the axes, without overflow; -inf along an axis of nothing but -inf.

    Computed as m + log(sum(exp(x - m))) with m the greatest. float32 or float64.
    """
    tensor = operand(x)
    with tensor.graph, name_scope(name or "logsumexp"):
        greatest = stop_gradient(max(tensor, axis, keepdims=True))
        shift = where(is_finite(greatest), greatest, 0)  # inf - inf would be nan
        total = shift + log(sum(exp(tensor - shift), axis, keepdims=True))
        return total if keepdims else squeeze(total, normalize_axes(axis, tensor.spec.rank))
