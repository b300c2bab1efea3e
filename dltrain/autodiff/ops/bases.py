"""What ops have in common: the elementwise ones, and those that are only another view of their input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dltrain.autodiff.graph import Op
from dltrain.autodiff.spec import Array, Spec, broadcast_shapes
from dltrain.errors import GraphError


@dataclass(frozen=True)
class Elementwise(Op, abstract=True):
    """out[i] is a function of the inputs at i, under broadcasting.

    The plan runs such kernels tile by tile, and may give `out` the memory of an input of the same shape and
    dtype. A kernel of several NumPy calls must therefore have read an input for the last time before it
    first writes `out`, or say `in_place = False`.
    """

    ufunc: ClassVar[np.ufunc | None] = None  # where one NumPy call is the whole kernel
    in_place: ClassVar[bool] = True

    def infer(self, *inputs: Spec) -> Spec:
        """One dtype, and the shape that all inputs broadcast to."""
        require_same_dtype(*inputs)
        return Spec(broadcast_shapes(*(spec.shape for spec in inputs)), inputs[0].dtype)

    def compute(self, *inputs: Array, out: Array) -> None:
        assert self.ufunc is not None, f"{type(self).__name__} has neither a ufunc nor a kernel"
        self.ufunc(*inputs, out=out)


@dataclass(frozen=True)
class View(Op, abstract=True):
    """The numbers of the first input, in another shape or order; free where NumPy can view them."""

    def view(self, x: Array, shape: tuple[int, ...]) -> Array:
        """`x` as an array of `shape`; never changes it, copies only where no view exists."""
        raise NotImplementedError(type(self).__name__)

    def compute(self, x: Array, *, out: Array) -> None:
        np.copyto(out, self.view(x, out.shape))


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


def is_scalar(value: Any) -> bool:
    """Whether `value` is a number of Python's or NumPy's own, which adopts the other operand's dtype."""
    return isinstance(value, bool | int | float | np.generic) and not isinstance(value, np.ndarray)
