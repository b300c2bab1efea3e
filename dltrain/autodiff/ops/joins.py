"""Tensors from parts: concat and pack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod

from dltrain.autodiff.dimensions import Shape
from dltrain.autodiff.graph import Node, Tensor, TensorLike
from dltrain.autodiff.layout import Layout
from dltrain.autodiff.ops.bases import Join, operands, require_same_dtype
from dltrain.autodiff.ops.shape import reshape
from dltrain.autodiff.spec import Spec, normalize_axis
from dltrain.errors import GraphError

__all__ = ["concat", "pack"]


@dataclass(frozen=True)
class Concat(Join):
    """The inputs one after the other along the axis."""

    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        require_same_dtype(*inputs)
        first, axis = inputs[0], self.axis
        total = 0
        for spec in inputs:
            if spec.rank != first.rank or _without(spec, axis) != _without(first, axis):
                raise GraphError(f"shapes differ in another axis than {axis}")
            size = spec.shape[axis]
            if not isinstance(size, int):
                raise GraphError(f"the named dimension {size} cannot be joined with others")
            total += size
        return first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))

    def parts(self, out: Layout, shapes: Sequence[tuple[int, ...]]) -> Sequence[Layout]:
        ends = pairwise(accumulate((shape[self.axis] for shape in shapes), initial=0))
        whole = [slice(None)] * len(out.shape)
        before, after = whole[: self.axis], whole[self.axis + 1 :]
        return [out.part([*before, slice(start, end), *after]) for start, end in ends]

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        before = (slice(None),) * self.axis
        sizes = upstream.spec.with_shape(tensor.shape[self.axis] for tensor in node.inputs).sizes
        ends = pairwise(accumulate(sizes, initial=0))
        return [upstream[(*before, slice(start, end))] for start, end in ends]


def _without(spec: Spec, axis: int) -> Shape:
    return spec.shape[:axis] + spec.shape[axis + 1 :]


def concat(tensors: Sequence[TensorLike], axis: int = 0, name: str | None = None) -> Tensor:
    """The tensors one after the other along the axis, of one dtype and equal in all other dimensions.

    Raises:
        GraphError: there are none, they differ elsewhere, or the axis is a named dimension.
    """
    if not tensors:
        raise GraphError("concat() was given no tensors")
    inputs = operands(*tensors)
    return Concat(normalize_axis(axis, inputs[0].spec.rank))(*inputs, name=name)


class Pack(Join):
    """The numbers of all inputs as one vector."""

    def infer(self, *inputs: Spec) -> Spec:
        require_same_dtype(*inputs)
        return inputs[0].with_shape([sum(prod(spec.sizes) for spec in inputs)])

    def parts(self, out: Layout, shapes: Sequence[tuple[int, ...]]) -> Sequence[Layout]:
        (step,) = out.strides
        places = []
        start = out.offset
        for shape in shapes:
            strides = Layout.contiguous(shape).strides
            places.append(Layout(shape, tuple([stride * step for stride in strides]), start))
            start += prod(shape) * step
        return places

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        return unpacked(upstream, node.inputs)


def pack(tensors: Sequence[TensorLike], name: str | None = None) -> Tensor:
    """The numbers of all tensors, which are of one dtype, as one vector: in order, each row by row.

    Raises:
        GraphError: there are none, or one has a named dimension.
    """
    if not tensors:
        raise GraphError("pack() was given no tensors")
    return Pack()(*operands(*tensors), name=name)


def unpacked(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The parts of a vector as tensors like those that `pack` could have made it of."""
    ends = pairwise(accumulate((prod(tensor.spec.sizes) for tensor in like), initial=0))
    return [reshape(vector[start:end], x.shape) for (start, end), x in zip(ends, like, strict=True)]
