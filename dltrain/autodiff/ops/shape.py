"""The same numbers in another shape; and stop_gradient, the same numbers as a constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dltrain.autodiff.dimensions import Dimension, Shape, listed, names_of, product, size_of
from dltrain.autodiff.graph import Node, Tensor, TensorLike
from dltrain.autodiff.layout import Layout
from dltrain.autodiff.leaves import StopGradient, as_tensor
from dltrain.autodiff.ops.bases import View, operand
from dltrain.autodiff.spec import (
    Spec,
    as_shape,
    broadcast_shapes,
    normalize_axes,
    normalize_axis,
)
from dltrain.errors import GraphError

__all__ = ["broadcast_to", "expand_dims", "reshape", "squeeze", "stop_gradient", "transpose"]


@dataclass(frozen=True)
class Reshape(View):
    """The same numbers, in the same order, in another shape."""

    shape: Shape

    def infer(self, x: Spec) -> Spec:
        size = size_of(x.shape)
        if size != size_of(self.shape) or (size and names_of(x.shape) != names_of(self.shape)):
            raise _does_not_fit(x.shape, self.shape)
        return x.with_shape(self.shape)

    def view(self, x: Layout, shape: tuple[int, ...]) -> Layout | None:
        return x.reshape(shape)

    def simplified(self, node: Any) -> Any:
        """To the shape that x has: x; of a reshape: of what that reshapes."""
        (x,) = node.inputs
        if x.spec == node.spec:
            return x
        return node.with_inputs(x.inputs) if isinstance(x.op, Reshape) else node

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return reshape(upstream, node.inputs[0].shape)


def reshape(x: TensorLike, shape: Sequence[Dimension], name: str | None = None) -> Tensor:
    """The same numbers, in the same order, in another shape.

    Arguments:
        shape: sizes and names; one may be -1, which is then what the others leave, perhaps a product:
            `("batch", 28, 64)` becomes `(-1, 64)`, which is `(batch*28, 64)`.

    Raises:
        GraphError: the two shapes do not hold equally many numbers.
    """
    tensor = operand(x)
    return Reshape(_resolve(tensor.shape, list(shape)))(tensor, name=name)


def _resolve(shape: Shape, wanted: list[Dimension]) -> Shape:
    """`wanted` with its -1 replaced."""
    if -1 not in wanted:
        return as_shape(wanted)
    position = wanted.index(-1)
    others = as_shape(wanted[:position] + wanted[position + 1 :])
    names, size, rest = names_of(shape), size_of(shape), size_of(others)
    if not names_of(others) <= names or not rest or size % rest:
        raise _does_not_fit(shape, tuple(wanted))
    return (*others[:position], product(names - names_of(others), size // rest), *others[position:])


def _does_not_fit(shape: Shape, wanted: Shape) -> GraphError:
    kept = "; the named dimensions must be kept" if names_of(shape) else ""
    return GraphError(
        f"cannot reshape {listed(shape)} to {listed(wanted)}: they do not hold equally many numbers{kept}"
    )


@dataclass(frozen=True)
class Transpose(View):
    """The axes in another order."""

    axes: tuple[int, ...]

    def infer(self, x: Spec) -> Spec:
        if len(self.axes) != x.rank:
            raise GraphError(f"{len(self.axes)} axes are listed for a tensor of rank {x.rank}")
        return x.with_shape(x.shape[axis] for axis in self.axes)

    def view(self, x: Layout, shape: tuple[int, ...]) -> Layout | None:
        return x.transpose(self.axes)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        inverse = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return transpose(upstream, inverse)


def transpose(x: TensorLike, axes: Sequence[int] | None = None, name: str | None = None) -> Tensor:
    """The axes in another order: axis i of the result is axis `axes[i]` of x; default all reversed.

    Raises:
        GraphError: `axes` is not a permutation of the axes of x.
    """
    tensor = operand(x)
    rank = tensor.spec.rank
    order = range(rank)[::-1] if axes is None else axes
    normalize_axes(order, rank)  # refuses an axis that is repeated or does not exist
    return Transpose(tuple(normalize_axis(axis, rank) for axis in order))(tensor, name=name)


def expand_dims(x: TensorLike, axis: int | Sequence[int], name: str | None = None) -> Tensor:
    """x with new axes of size 1.

    Arguments:
        axis: where the new ones are in the result; -1 is the last.
    """
    tensor = operand(x)
    rank = tensor.spec.rank + (1 if isinstance(axis, int) else len(axis))
    new, rest = normalize_axes(axis, rank), iter(tensor.shape)
    shape = tuple(1 if place in new else next(rest) for place in range(rank))
    return Reshape(shape)(tensor, name=name or "expand_dims")


def squeeze(x: TensorLike, axis: int | Sequence[int] | None = None, name: str | None = None) -> Tensor:
    """x without some axes of size 1; default all those (a named dimension is never one).

    Raises:
        GraphError: one of them is not of size 1.
    """
    tensor = operand(x)
    if axis is None:
        axis = [place for place, size in enumerate(tensor.shape) if size == 1]
    left_out = normalize_axes(axis, tensor.spec.rank)
    for place in left_out:
        if tensor.shape[place] != 1:
            raise GraphError(
                f"squeeze({tensor.name} {tensor.spec})",
                where=tensor.graph.names.place(),
                why=f"axis {place} has size {tensor.shape[place]}, and only axes of size 1 can be left out",
            )
    shape = tuple(size for place, size in enumerate(tensor.shape) if place not in left_out)
    return Reshape(shape)(tensor, name=name or "squeeze")


@dataclass(frozen=True)
class BroadcastTo(View):
    """Repeated along new axes and those of size 1."""

    shape: Shape
    is_broadcast = True

    def infer(self, x: Spec) -> Spec:
        if broadcast_shapes(x.shape, self.shape) != self.shape:
            raise GraphError(f"it does not broadcast to {listed(self.shape)}")
        return x.with_shape(self.shape)

    def view(self, x: Layout, shape: tuple[int, ...]) -> Layout | None:
        return x.broadcast_to(shape)

    def simplified(self, node: Any) -> Any:
        """To the shape that x has: x."""
        (x,) = node.inputs
        return x if x.spec == node.spec else node

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream  # the reverse walk sums it back


def broadcast_to(x: TensorLike, shape: Sequence[Dimension], name: str | None = None) -> Tensor:
    """x repeated along new leading axes and axes of size 1, by NumPy's rule.

    Raises:
        GraphError: x does not broadcast to the shape.
    """
    return BroadcastTo(as_shape(shape))(operand(x), name=name)


def filled(number: float, like: Tensor) -> Tensor:
    """A tensor of nothing but the number, with the spec of another one."""
    with like.graph:
        one = as_tensor(number, like.dtype)
        return broadcast_to(one, like.shape) if like.shape else one


def stop_gradient(x: TensorLike, name: str | None = None) -> Tensor:
    """x itself, taken as a constant by `gradients`."""
    return StopGradient()(operand(x), name=name)
