"""What ops have in common: the elementwise ones, and those that are only another view of their input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np

from dltrain.autodiff.graph import Tensor, TensorLike
from dltrain.autodiff.layout import Layout
from dltrain.autodiff.leaves import as_tensor
from dltrain.autodiff.op import Op
from dltrain.autodiff.properties import Workspace, is_all
from dltrain.autodiff.spec import Array, Spec, as_array, broadcast_shapes
from dltrain.errors import GraphError


class Elementwise(Op, abstract=True):
    """out[i] is a function of the inputs at i, under broadcasting.

    The plan runs such kernels tile by tile, and may give `out` the memory of an input of the same shape and
    dtype. A kernel of several NumPy calls must therefore have read an input for the last time before it
    first writes `out`, or say `in_place = False`.
    """

    is_elementwise = True
    in_place = True
    neutral: ClassVar[tuple[int | None, ...]] = ()
    """The number, for each of two inputs, with which the op gives the other input; None: there is none."""

    def infer(self, *inputs: Any, **_: Any) -> Spec:
        """One dtype, and the shape that all inputs broadcast to."""
        require_same_dtype(*inputs)
        return Spec(broadcast_shapes(*(spec.shape for spec in inputs)), inputs[0].dtype)

    def simplified(self, node: Any) -> Any:
        """Broadcasts that it does by itself, and neutral numbers, are left out."""
        inputs = node.inputs
        for position, source in enumerate(inputs):
            if source.op.is_broadcast:
                shorter = (*inputs[:position], source.inputs[0], *inputs[position + 1 :])
                if broadcast_shapes(*(other.spec.shape for other in shorter)) == node.spec.shape:
                    inputs = shorter
        for position, number in enumerate(self.neutral):
            if number is not None and is_all(inputs[position].op, number):
                other = inputs[1 - position]
                if other.spec == node.spec:
                    return other
        return node.with_inputs(inputs)


class Arithmetic(Elementwise, abstract=True):
    """Elementwise on numbers: float32, float64, int64."""

    def infer(self, *inputs: Any, **_: Any) -> Spec:
        require_number(*inputs)
        return super().infer(*inputs)


class FloatElementwise(Elementwise, abstract=True):
    """Elementwise on float32, float64."""

    def infer(self, *inputs: Any, **_: Any) -> Spec:
        require_float(*inputs)
        return super().infer(*inputs)


class View(Op, abstract=True):
    """Numbers of the first input, in another shape or order: `view` says where they lie, and costs nothing.

    Of an input that lies row by row, without gaps, there is always a view; of others there may be none.
    """

    is_view = True

    def compute(self, x: Array, *, out: Array) -> None:
        layout = self.view(Layout.contiguous(x.shape), out.shape)
        assert layout is not None, f"{type(self).__name__} has no view"
        np.copyto(out, layout.array(np.ascontiguousarray(x), x.dtype))


class Join(Op, abstract=True):
    """The numbers of all inputs: `parts` says where in the result they lie.

    An input that can be is computed right there, so that it costs nothing.
    """

    is_join = True

    def compute(self, *inputs: Array, out: Array) -> None:
        parts = self.parts(Layout.contiguous(out.shape), [x.shape for x in inputs])
        for x, layout in zip(inputs, parts, strict=True):
            np.copyto(layout.array(out, out.dtype), x)


def workspace_like_out(self: Op, *inputs: Array, out: Array) -> Workspace:
    """For a kernel that needs an array like its result: `workspace = workspace_like_out`."""
    return out.shape, out.dtype


class Unary(Protocol):
    """A function of one operand."""

    def __call__(self, x: TensorLike, name: str | None = None) -> Tensor: ...


class Binary(Protocol):
    """A function of two operands."""

    def __call__(self, a: TensorLike, b: TensorLike, name: str | None = None) -> Tensor: ...


def unary(op: type[Op]) -> Unary:
    """The function that applies an op without attributes; it is documented where the op is."""

    def apply(x: TensorLike, name: str | None = None) -> Tensor:
        return op()(operand(x), name=name)

    document(apply, op)
    return apply


def binary(op: type[Op]) -> Binary:
    """The same of two operands, of which numbers and arrays adopt the dtype of the tensor."""

    def apply(a: TensorLike, b: TensorLike, name: str | None = None) -> Tensor:
        return op()(*operands(a, b), name=name)

    document(apply, op)
    return apply


def document(function: Callable[..., Tensor], op: type[Op]) -> None:
    """Make the function the op's: of its name, and documented as it is."""
    function.__name__ = function.__qualname__ = op.label
    function.__doc__, function.__module__ = op.__doc__, op.__module__


def require_same_dtype(*inputs: Spec) -> None:
    """
    Raises:
        GraphError: the dtypes differ.
    """
    if len({spec.dtype for spec in inputs}) > 1:
        listed = " and ".join(spec.dtype.name for spec in inputs)
        raise GraphError(f"dtypes {listed} do not mix", fix="cast() one of them")


def require_float(*inputs: Spec) -> None:
    """
    Raises:
        GraphError: an input is not float32 or float64.
    """
    for spec in inputs:
        if not spec.is_float:
            raise GraphError(f"{spec.dtype.name} has no fractions", fix='cast() it to "float32" first')


def require_number(*inputs: Spec) -> None:
    """
    Raises:
        GraphError: an input is bool or uint8, in which arithmetic would wrap around.
    """
    for spec in inputs:
        if not spec.is_float and spec.dtype != np.int64:
            raise GraphError(
                f"there is no arithmetic on {spec.dtype.name}", fix='cast() it to "float32" first'
            )


def operands(*values: TensorLike) -> list[Tensor]:
    """The values as tensors of one graph; numbers and arrays adopt the dtype of the first tensor.

    Without a tensor among them they become what `constant` makes of the first float, else of the first value.

    Raises:
        GraphError: a value would lose its fraction, as 0.5 in `integers + 0.5`.
    """
    for value in values:
        if isinstance(value, Tensor):
            with value.graph:
                return [as_tensor(other, value.dtype) for other in values]
    dtypes = [as_array(value).dtype for value in values]
    dtype = next((dtype for dtype in dtypes if dtype.kind == "f"), dtypes[0])
    return [as_tensor(value, dtype) for value in values]


def operand(value: TensorLike) -> Tensor:
    """The value as a tensor."""
    return operands(value)[0]
