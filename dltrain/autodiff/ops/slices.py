"""Parts of tensors; and their gradient, zeros with the parts added."""

from __future__ import annotations

import builtins
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, pairwise
from typing import Any

import numpy as np

from dltrain.autodiff.dimensions import Dimension, Shape
from dltrain.autodiff.graph import Node, Tensor, TensorLike
from dltrain.autodiff.layout import Layout
from dltrain.autodiff.leaves import Constant
from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.arithmetic import Add, add
from dltrain.autodiff.ops.bases import View, operand
from dltrain.autodiff.ops.joins import Concat
from dltrain.autodiff.ops.shape import BroadcastTo, Reshape
from dltrain.autodiff.spec import Array, Spec
from dltrain.errors import GraphError

__all__ = ["slice"]

Range = tuple[int | None, int | None, int | None]
Key = tuple[int | Range | None, ...]  # hashable, as Python's slices are not before 3.12


@dataclass(frozen=True)
class Slice(View):
    """x[key]; `key` has an index, a range or a None (a new axis) for every axis."""

    key: Key

    def infer(self, x: Spec) -> Spec:
        axes = iter(x.shape)
        shape: list[Dimension] = []
        for part in self.key:
            if part is None:
                shape.append(1)
                continue
            size = next(axes)
            if isinstance(part, int):
                if isinstance(size, int) and not -size <= part < size:
                    raise GraphError(f"index {part} is outside of a dimension of size {size}")
            elif isinstance(size, int):
                shape.append(len(range(*builtins.slice(*part).indices(size))))
            elif part == (None, None, None):
                shape.append(size)
            else:
                raise GraphError(
                    f"a part of the named dimension {size} has no known size", fix="take all of it with `:`"
                )
        return x.with_shape(shape)

    def view(self, x: Layout, shape: tuple[int, ...]) -> Layout | None:
        try:
            return x.part(_index(self.key))
        except IndexError as error:  # of a named dimension
            raise GraphError(str(error)) from None

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return Unslice((self.key,), node.inputs[0].shape)(upstream)


def slice(x: TensorLike, key: Any, name: str | None = None) -> Tensor:
    """x[key], where the key holds integers, slices with positive steps, None (a new axis) and `...`.

    Of a named dimension all may be taken (`:`) or one index.

    Raises:
        GraphError: anything else in the key, an index out of range, or more indices than axes.
    """
    tensor = operand(x)
    return Slice(_normal_key(key, tensor.spec.rank))(tensor, name=name)


def _normal_key(key: Any, rank: int) -> Key:
    parts = list(key) if isinstance(key, tuple) else [key]
    for part in parts:
        if isinstance(part, Tensor | np.ndarray | list):
            raise GraphError("a tensor or an array is no index", fix="use gather()")
    missing = rank - builtins.sum(part is not None and part is not Ellipsis for part in parts)
    if missing < 0:
        raise GraphError(f"more indices than the {rank} axes there are")
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    position = parts.index(Ellipsis)
    parts[position : position + 1] = [builtins.slice(None)] * missing
    return tuple(_normal_part(part) for part in parts)


def _normal_part(part: Any) -> int | Range | None:
    if part is None:
        return None
    if isinstance(part, int | np.integer) and not isinstance(part, bool):
        return int(part)
    if isinstance(part, builtins.slice):
        start, stop, step = (None if end is None else int(end) for end in (part.start, part.stop, part.step))
        if step is not None and step <= 0:
            raise GraphError(f"a slice cannot have the step {step}", fix="give a positive step")
        return start, stop, step
    raise GraphError(f"not an index: {part!r}", fix="use integers, slices, None and ...")


def _index(key: Key) -> tuple[int | builtins.slice | None, ...]:
    """The key as Python has it."""
    return tuple([builtins.slice(*part) if isinstance(part, tuple) else part for part in key])


@dataclass(frozen=True)
class Unslice(Op):
    """Zeros of `shape` to which each input is added at its key: the gradient of slices of one tensor."""

    keys: tuple[Key, ...]
    shape: Shape

    def infer(self, *parts: Spec) -> Spec:
        return parts[0].with_shape(self.shape)

    def compute(self, *parts: Array, out: Array) -> None:
        out.fill(0)
        for part, place in zip(parts, self.places(out), strict=True):
            np.add(place, part, out=place)

    def places(self, out: Array) -> list[Array]:
        """Where the inputs are added, as parts of the result."""
        return [out[(*_index(key), Ellipsis)] for key in self.keys]

    def simplified(self, node: Any) -> Any:
        """Where all keys cut one axis: the stretches between their ends, each a sum, one after the other."""
        sizes = node.spec.sizes
        cuts = _cuts(self.keys, sizes)
        if cuts is None:
            return node
        axis, ranges = cuts
        zero = node.replaced(Constant(np.zeros((), node.spec.dtype)))
        stretches = []
        for start, stop, covering in _stretches(ranges, sizes[axis]):
            total = zero  # as the kernel begins: 0 and -0 are 0
            for number in covering:
                part, taken = node.inputs[number], ranges[number]
                whole = (*sizes[:axis], len(taken), *sizes[axis + 1 :])
                if part.spec.shape != whole:
                    part = node.replaced(Reshape(whole), part)
                if stop - start < len(taken):
                    cut = (start - taken.start, stop - taken.start, None)
                    key = [(None, None, None)] * axis + [cut] + [(None, None, None)] * (len(sizes) - axis - 1)
                    part = node.replaced(Slice(tuple(key)), part)
                total = node.replaced(Add(), total, part)
            if not covering:
                shape = (*sizes[:axis], stop - start, *sizes[axis + 1 :])
                total = node.replaced(BroadcastTo(shape), zero)
            stretches.append(total)
        return node.replaced(Concat(axis), *stretches)

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor]:
        return [Slice(key)(upstream) for key in self.keys]


def _cuts(keys: Sequence[Key], sizes: tuple[int, ...]) -> tuple[int, list[range]] | None:
    """The one axis of which the keys leave something out, and what each takes of it.

    None where they cut several axes or take steps, or where so many overlap that the sums would be long.
    """
    if 0 in sizes or not sizes:
        return None
    taken = [
        [
            range(size)[builtins.slice(*part)] if isinstance(part, tuple) else range(size)[part:][:1]
            for part, size in zip((part for part in key if part is not None), sizes, strict=True)
        ]
        for key in keys
    ]
    cut = {axis for each in taken for axis, numbers in enumerate(each) if len(numbers) < sizes[axis]} or {0}
    axis = min(cut)
    parts = (each[axis] for each in taken)
    ranges = [part if len(part) > 1 else range(part.start, part.start + len(part)) for part in parts]
    if len(cut) > 1 or any(numbers.step > 1 for numbers in ranges):
        return None
    if builtins.sum(len(covering) for *_, covering in _stretches(ranges, sizes[axis])) > 4 * len(keys):
        return None
    return axis, ranges


def _stretches(ranges: Sequence[range], size: int) -> list[tuple[int, int, list[int]]]:
    """From each end of a range to the next, and the numbers of the ranges that cover what is between."""
    ends = sorted({0, size, *(end for numbers in ranges for end in (numbers.start, numbers.stop))})
    covering: list[list[int]] = [[] for _ in ends]
    for number, numbers in enumerate(ranges):
        for place in range(bisect_left(ends, numbers.start), bisect_left(ends, numbers.stop)):
            covering[place].append(number)
    return [(*pair, by) for pair, by in zip(pairwise(ends), covering, strict=False)]


def add_up(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of tensors of one spec; gradients of slices are added into one array of the full size."""
    unslices = [(tensor.op.keys, tensor.inputs) for tensor in tensors if isinstance(tensor.op, Unslice)]
    if len(unslices) > 1:
        keys, parts = zip(*unslices, strict=True)
        total = Unslice(tuple(chain(*keys)), tensors[0].shape)(*chain(*parts))
        tensors = [total, *(tensor for tensor in tensors if not isinstance(tensor.op, Unslice))]
    return reduce(add, tensors)
