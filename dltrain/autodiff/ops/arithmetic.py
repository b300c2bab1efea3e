"""Arithmetic, elementwise under broadcasting.

Functions take tensors, arrays or numbers of float32, float64 or int64 (what has fractions: of float32 or
float64); numbers and arrays adopt the tensor's dtype. The result has the shape to which all broadcast.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

import numpy as np

from dltrain.autodiff.graph import Node, Tensor
from dltrain.autodiff.ops.bases import Arithmetic, Binary, Elementwise, FloatElementwise, binary, unary
from dltrain.autodiff.ops.exponential import log
from dltrain.autodiff.ops.logic import equal, greater, less, where
from dltrain.autodiff.properties import is_all
from dltrain.autodiff.spec import Array

__all__ = ["abs", "add", "divide", "floor", "maximum", "minimum"]
__all__ += ["multiply", "negative", "power", "sign", "square", "subtract"]


class Scaling(Elementwise, abstract=True):
    """What multiplies or divides, and therefore may scale an array by a single number."""

    def reassociated(self, node: Any, own: Collection[Any]) -> Any:
        """(x scaled by a) scaled by b, as x scaled by one number: a b, a / b or b / a."""
        scaled, b = _scaling(node)
        if scaled not in own or (scaling := _scaling(scaled))[0] is None:
            return node
        x, a = scaling
        divides = isinstance(scaled.op, Divide), isinstance(self, Divide)
        if divides == (True, False):
            a, b = b, a
        factor = node.replaced(Multiply() if divides[0] == divides[1] else Divide(), a, b)
        return node.replaced(Divide() if all(divides) else Multiply(), x, factor)


def _scaling(node: Any) -> tuple[Any, Any]:
    """What the node multiplies or divides by a single number, and that; None if it does anything else."""
    if node.spec.rank and isinstance(node.op, Scaling):
        one, other = node.inputs
        if not other.spec.rank:
            return one, other
        if not one.spec.rank and not isinstance(node.op, Divide):
            return other, one
    return None, None


class Add(Arithmetic):
    """a + b."""

    formula = "{0} + {1}"
    ufunc = np.add

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        return upstream, upstream


class Subtract(Arithmetic):
    """a - b."""

    formula = "{0} - {1}"
    ufunc = np.subtract
    neutral = (None, 0)

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        return upstream, -upstream


class Multiply(Scaling, Arithmetic):
    """a b, element by element."""

    formula = "{0} * {1}"
    ufunc = np.multiply
    neutral = (1, 1)

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        a, b = node.inputs
        return upstream * b, upstream * a


class Divide(Scaling, FloatElementwise):
    """a / b; float32 or float64. Division by 0 gives inf or nan."""

    formula = "{0} / {1}"
    ufunc = np.divide
    neutral = (None, 1)

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        _, b = node.inputs
        return upstream / b, -(upstream * node.output / b)


class Negative(Arithmetic):
    """-x."""

    formula = "-{0}"
    ufunc = np.negative

    def simplified(self, node: Any) -> Any:
        """Of the negative of x: x."""
        (x,) = node.inputs
        return x.inputs[0] if isinstance(x.op, Negative) else super().simplified(node)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return -upstream


class Square(Arithmetic):
    """x^2."""

    formula = "{0} * {0}"
    ufunc = np.square

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream * (node.inputs[0] * 2)


class Power(FloatElementwise):
    """a^b; float32 or float64; nan where a < 0 and b is no whole number.

    The derivative in a is b a^(b-1): 0 for b = 0, inf at a = 0 for 0 < b < 1. That in b is a^b log(a), taken
    as 0 at a = 0, nan for a < 0.
    """

    formula = "pow{F}({0}, {1})"
    ufunc = np.power
    neutral = (None, 1)

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        a, b = node.inputs
        return upstream * ScaledPower()(b, a, b - 1), upstream * _slope_in_exponent(node.output, a)


class ScaledPower(FloatElementwise):
    """c a^b, and 0 where c is 0, whatever the power: so every derivative of a^n in a is right at a = 0."""

    formula = "{0} == 0 ? 0 : {0} * pow{F}({1}, {2})"
    in_place = False

    def simplified(self, node: Any) -> Any:
        """c x^1, of the derivative of x^2: c * x."""
        node = super().simplified(node)
        c, a, b = node.inputs
        if is_all(b.op, 1) and c.op.constant is not None and c.op.constant.all():
            multiplied = node.replaced(Multiply(), c, a)
            return multiplied if multiplied.spec == node.spec else node
        return node

    def compute(self, c: Array, a: Array, b: Array, *, out: Array) -> None:
        np.power(a, b, out=out)
        np.multiply(out, c, out=out)
        np.copyto(out, 0, where=np.equal(c, 0))

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        c, a, b = node.inputs
        in_a = ScaledPower()(c * b, a, b - 1)
        return upstream * a**b, upstream * in_a, upstream * _slope_in_exponent(node.output, a)


def _slope_in_exponent(power: Tensor, a: Tensor) -> Tensor:
    """power * log(a), and 0 at a = 0."""
    is_zero = equal(a, 0)
    return where(is_zero, 0, power) * log(where(is_zero, 1, a))


class Abs(Arithmetic):
    """|x|; its derivative at 0 is taken as 0."""

    formula = "({0} < 0 ? -{0} : {0}) + 0"
    ufunc = np.absolute

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream * sign(node.inputs[0])


class Sign(Arithmetic):
    """-1, 0 or 1, as x is less than, equal to or greater than 0; its derivative is 0."""

    formula = "{0} != {0} ? {0} : ({T})(({0} > 0) - ({0} < 0))"
    ufunc = np.sign
    in_place = False  # NumPy takes ten times as long in place

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        return (None,)


class Floor(FloatElementwise):
    """The greatest whole number not above x; float32 or float64. It has no derivative."""

    formula = "floor{F}({0})"
    ufunc = np.floor


class Choice(Arithmetic, abstract=True):
    """One of a and b."""

    wins: ClassVar[Binary]  # over the other

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        a, b = node.inputs
        tie, a_wins, half = equal(a, b), type(self).wins(a, b), upstream * 0.5
        return (
            where(tie, half, where(a_wins, upstream, 0)),
            where(tie, half, where(a_wins, 0, upstream)),
        )


class Maximum(Choice):
    """The greater of a and b, nan where one is; where they are equal each gets half of the gradient."""

    formula = "{0} >= {1} || {0} != {0} ? {0} : {1}"
    ufunc = np.maximum
    wins = greater


class Minimum(Choice):
    """The lesser of a and b, nan where one is; where they are equal each gets half of the gradient."""

    formula = "{0} <= {1} || {0} != {0} ? {0} : {1}"
    ufunc = np.minimum
    wins = less


add = binary(Add)
subtract = binary(Subtract)
multiply = binary(Multiply)
divide = binary(Divide)
negative = unary(Negative)
square = unary(Square)
power = binary(Power)
abs = unary(Abs)
sign = unary(Sign)
floor = unary(Floor)
maximum = binary(Maximum)
minimum = binary(Minimum)
