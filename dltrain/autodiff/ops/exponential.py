"""Roots, exponentials, logarithms, sine and cosine: elementwise functions of float32 or float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from dltrain.autodiff.graph import Node, Tensor
from dltrain.autodiff.ops.bases import FloatElementwise, unary

__all__ = ["cos", "exp", "expm1", "log", "log1p", "sin", "sqrt"]


class Sqrt(FloatElementwise):
    """The square root, nan below 0; its derivative at 0 is inf."""

    formula = "sqrt{F}({0})"
    ufunc = np.sqrt

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream * 0.5 / node.output


class Exp(FloatElementwise):
    """e^x."""

    formula = "exp{F}({0})"
    ufunc = np.exp

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream * node.output


class Expm1(FloatElementwise):
    """e^x - 1, accurate near 0."""

    formula = "expm1{F}({0})"
    ufunc = np.expm1

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream * exp(node.inputs[0])  # node + 1 would lose what is far below 1


class Log(FloatElementwise):
    """The natural logarithm: -inf at 0 (with derivative inf), nan below.

    Of a softmax the compiler makes `log_softmax`: finite where the softmax underflows to 0.
    """

    formula = "log{F}({0})"
    ufunc = np.log

    def simplified(self, node: Any) -> Any:
        """Of what has a `logarithm`: that. It agrees to a few units in the last place, not in its bits."""
        (x,) = node.inputs
        logarithm = x.op.logarithm
        return super().simplified(node) if logarithm is None else node.replaced(logarithm, *x.inputs)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream / node.inputs[0]


class Log1p(FloatElementwise):
    """log(1 + x), accurate near 0: -inf at -1 (with derivative inf), nan below."""

    formula = "log1p{F}({0})"
    ufunc = np.log1p

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream / (node.inputs[0] + 1)


class Sin(FloatElementwise):
    """The sine of x radians."""

    formula = "sin{F}({0})"
    ufunc = np.sin

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream * cos(node.inputs[0])


class Cos(FloatElementwise):
    """The cosine of x radians."""

    formula = "cos{F}({0})"
    ufunc = np.cos

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return -(upstream * sin(node.inputs[0]))


sqrt = unary(Sqrt)
exp = unary(Exp)
expm1 = unary(Expm1)
log = unary(Log)
log1p = unary(Log1p)
sin = unary(Sin)
cos = unary(Cos)
