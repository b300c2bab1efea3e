"""Choosing by integers: gather and take_along_axis, their gradients, and one_hot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from dltrain.autodiff.dimensions import Dimension
from dltrain.autodiff.graph import Node, Tensor, TensorLike
from dltrain.autodiff.leaves import as_tensor
from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.bases import operand, require_number
from dltrain.autodiff.ops.logic import cast
from dltrain.autodiff.spec import Array, Spec, as_dtype, as_shape, normalize_axis
from dltrain.errors import GraphError

__all__ = ["gather", "one_hot", "scatter_add", "take_along_axis"]


def require_indices(spec: Spec) -> None:
    """
    Raises:
        GraphError: not int64.
    """
    if spec.dtype != np.int64:
        raise GraphError(f"indices are int64, not {spec.dtype.name}", fix="cast() them")


def check_range(indices: Array, size: int, kind: str = "index") -> None:
    """
    Raises:
        GraphError: one of `indices` (int64) is not in 0..size-1; the message gives its value.
    """
    # As unsigned, negative ones are huge; the greatest is found in half the time that max() takes.
    if indices.size and not 0 <= indices.item(indices.view(np.uint64).argmax()) < size:
        wrong = indices[(indices < 0) | (indices >= size)].flat[0]
        allowed = f"0 to {size - 1}" if size else "none, the dimension is empty"
        raise GraphError(f"{kind} {wrong} is out of range", fix=f"allowed: {allowed}")


@dataclass(frozen=True)
class Gather(Op):
    """The slices of x, across the axis, that the indices name."""

    axis: int

    def infer(self, x: Spec, indices: Spec) -> Spec:
        require_indices(indices)
        return x.with_shape((*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :]))

    def compute(self, x: Array, indices: Array, *, out: Array) -> None:
        check_range(indices, x.shape[self.axis])
        if out.size:
            x.take(indices, self.axis, out, "clip")  # in range; "raise" would buffer

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        x, indices = node.inputs
        return scatter_add(upstream, indices, x.shape[self.axis], self.axis), None


def gather(x: TensorLike, indices: TensorLike, axis: int = 0, name: str | None = None) -> Tensor:
    """The slices of x that the indices name: for axis 0 `result[i, ...] = x[indices[i], ...]`.

    Arguments:
        x: of any dtype, `[..., size, ...]` with `size` at the axis.
        indices: int64 of any shape, from 0 to size - 1; their shape replaces the axis in the result.

    Raises:
        GraphError: an index is out of range (when it runs), negative ones included.
    """
    tensor = operand(x)
    with tensor.graph:
        return Gather(normalize_axis(axis, tensor.spec.rank))(tensor, as_tensor(indices), name=name)


@dataclass(frozen=True)
class ScatterAdd(Op):
    """Zeros with `size` at the axis, to which each update is added where its index says."""

    axis: int
    size: Dimension

    def infer(self, updates: Spec, indices: Spec) -> Spec:
        require_number(updates)
        require_indices(indices)
        end = self.axis + indices.rank
        if updates.shape[self.axis : end] != indices.shape:
            raise GraphError(f"the updates' axes from {self.axis} on are not those of the indices")
        return updates.with_shape((*updates.shape[: self.axis], self.size, *updates.shape[end:]))

    def compute(self, updates: Array, indices: Array, *, out: Array) -> None:
        check_range(indices, out.shape[self.axis])
        out.fill(0)
        index: Any = (*(slice(None),) * self.axis, indices)
        np.add.at(out, index, updates)

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        return gather(upstream, node.inputs[1], self.axis), None


def scatter_add(
    updates: TensorLike, indices: TensorLike, size: Dimension, axis: int = 0, name: str | None = None
) -> Tensor:
    """Zeros to which updates are added: for axis 0 `result[indices[i], ...] += updates[i, ...]`.

    Arguments:
        updates: float32, float64 or int64; from the axis on its shape is that of the indices.
        indices: int64 of any shape, from 0 to size - 1; the updates of an index that repeats add up.
        size: of the result's dimension at the axis (counted from the front).

    Raises:
        GraphError: the shapes don't match, or an index is out of range (when it runs).
    """
    tensor = operand(updates)
    with tensor.graph:
        return ScatterAdd(normalize_axis(axis, tensor.spec.rank + 1), *as_shape([size]))(
            tensor, as_tensor(indices), name=name
        )


@dataclass(frozen=True)
class TakeAlongAxis(Op):
    """The numbers of x along the axis that the indices, one for each number of the result, name."""

    axis: int

    def infer(self, x: Spec, indices: Spec) -> Spec:
        require_indices(indices)
        count = indices.shape[self.axis : self.axis + 1]
        if not count or indices.shape != (*x.shape[: self.axis], *count, *x.shape[self.axis + 1 :]):
            raise GraphError(f"the indices have not x's shape, but for axis {self.axis}")
        return x.with_shape(indices.shape)

    def compute(self, x: Array, indices: Array, *, out: Array) -> None:
        check_range(indices, x.shape[self.axis])
        if out.size:
            np.take(x.reshape(-1), _places(indices, x.shape, self.axis), out=out.reshape(-1), mode="clip")

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        x, indices = node.inputs
        return AddAlongAxis(self.axis, x.shape[self.axis])(upstream, indices), None


def _places(indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    """The places of what the indices name in the array of that shape as a vector.

    NumPy takes from a vector, and adds to one, in a fraction of the time that several axes take it.
    """
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    places = indices.reshape(before, indices.shape[axis], after) * after
    places += (np.arange(before) * shape[axis] * after)[:, None, None] + np.arange(after)
    return places.reshape(-1)


def take_along_axis(x: TensorLike, indices: TensorLike, axis: int = -1, name: str | None = None) -> Tensor:
    """The numbers of x at indices along the axis: for the last one `result[i, j] = x[i, indices[i, j]]`.

    Arguments:
        x: of any dtype, `[..., size, ...]` with `size` at the axis.
        indices: int64 `[..., count, ...]`, from 0 to size - 1: the shape of the result, and in the other axes
            that of x.

    Raises:
        GraphError: the shapes don't match; or an index is out of range (when it runs), as negative ones are.
    """
    tensor = operand(x)
    with tensor.graph:
        return TakeAlongAxis(normalize_axis(axis, tensor.spec.rank))(tensor, as_tensor(indices), name=name)


@dataclass(frozen=True)
class AddAlongAxis(Op):
    """Zeros with `size` at the axis, to which each update is added at its index: the gradient."""

    axis: int
    size: Dimension

    def infer(self, updates: Spec, indices: Spec) -> Spec:
        return updates.with_shape((*updates.shape[: self.axis], self.size, *updates.shape[self.axis + 1 :]))

    def compute(self, updates: Array, indices: Array, *, out: Array) -> None:
        check_range(indices, out.shape[self.axis])
        out.fill(0)
        np.add.at(out.reshape(-1), _places(indices, out.shape, self.axis), updates.reshape(-1))

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        return take_along_axis(upstream, node.inputs[1], self.axis), None


@dataclass(frozen=True)
class OneHot(Op):
    """1 at the index along a new last axis, else 0."""

    size: int
    dtype: np.dtype[Any]

    def infer(self, indices: Spec) -> Spec:
        require_indices(indices)
        return Spec((*indices.shape, self.size), self.dtype)

    def compute(self, indices: Array, *, out: Array) -> None:
        check_range(indices, self.size)
        out.fill(0)
        if out.size:
            out.reshape(-1)[np.arange(0, out.size, self.size) + indices.reshape(-1)] = 1


def one_hot(indices: TensorLike, size: int, dtype: DTypeLike = "float32", name: str | None = None) -> Tensor:
    """1 at the index along a new last axis of the given size, else 0; it has no derivative.

    Arguments:
        indices: int64 or uint8 of any shape, from 0 to size - 1.

    Raises:
        GraphError: an index is out of range (when it runs).
    """
    tensor = operand(indices)
    if tensor.dtype == np.uint8:
        tensor = cast(tensor, "int64")
    return OneHot(size, as_dtype(dtype))(tensor, name=name)
