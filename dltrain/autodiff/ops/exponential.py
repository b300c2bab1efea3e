"""Roots, exponentials, logarithms, sine and cosine: elementwise functions of float32 or float64."""

from __future__ import annotations

import numpy as np

from dltrain.autodiff.graph import Tensor, TensorLike
from dltrain.autodiff.ops.bases import FloatElementwise, operand

__all__ = ["cos", "exp", "expm1", "log", "log1p", "sin", "sqrt"]


class Sqrt(FloatElementwise):
    """The square root."""

    formula = "sqrt{F}({0})"
    ufunc = np.sqrt

    def gradient(self, node: Tensor, upstream: Tensor) -> Tensor:
        return upstream * 0.5 / node


def sqrt(x: TensorLike, name: str | None = None) -> Tensor:
    """The square root, nan below 0; its derivative at 0 is inf."""
    return Sqrt()(operand(x), name=name)


class Exp(FloatElementwise):
    """e^x."""

    formula = "exp{F}({0})"
    ufunc = np.exp

    def gradient(self, node: Tensor, upstream: Tensor) -> Tensor:
        return upstream * node


def exp(x: TensorLike, name: str | None = None) -> Tensor:
    """e^x."""
    return Exp()(operand(x), name=name)


class Expm1(FloatElementwise):
    """e^x - 1."""

    formula = "expm1{F}({0})"
    ufunc = np.expm1

    def gradient(self, node: Tensor, upstream: Tensor) -> Tensor:
        return upstream * exp(node.inputs[0])  # node + 1 would lose what is far below 1


def expm1(x: TensorLike, name: str | None = None) -> Tensor:
    """e^x - 1, accurate near 0."""
    return Expm1()(operand(x), name=name)


class Log(FloatElementwise):
    """The natural logarithm."""

    formula = "log{F}({0})"
    ufunc = np.log

    def gradient(self, node: Tensor, upstream: Tensor) -> Tensor:
        return upstream / node.inputs[0]


def log(x: TensorLike, name: str | None = None) -> Tensor:
    """The natural logarithm: -inf at 0 (with derivative inf), nan below.

    Of a softmax it is `log_softmax` of the softmax's input: finite where the softmax underflows to 0.
    """
    tensor = operand(x)
    if tensor.op.logarithm is not None:
        return tensor.op.logarithm(*tensor.inputs, name=name)
    return Log()(tensor, name=name)


class Log1p(FloatElementwise):
    """log(1 + x)."""

    formula = "log1p{F}({0})"
    ufunc = np.log1p

    def gradient(self, node: Tensor, upstream: Tensor) -> Tensor:
        return upstream / (node.inputs[0] + 1)


def log1p(x: TensorLike, name: str | None = None) -> Tensor:
    """log(1 + x), accurate near 0: -inf at -1 (with derivative inf), nan below."""
    return Log1p()(operand(x), name=name)


class Sin(FloatElementwise):
    """The sine."""

    formula = "sin{F}({0})"
    ufunc = np.sin

    def gradient(self, node: Tensor, upstream: Tensor) -> Tensor:
        return upstream * cos(node.inputs[0])


def sin(x: TensorLike, name: str | None = None) -> Tensor:
    """The sine of x radians."""
    return Sin()(operand(x), name=name)


class Cos(FloatElementwise):
    """The cosine."""

    formula = "cos{F}({0})"
    ufunc = np.cos

    def gradient(self, node: Tensor, upstream: Tensor) -> Tensor:
        return -(upstream * sin(node.inputs[0]))


def cos(x: TensorLike, name: str | None = None) -> Tensor:
    """The cosine of x radians."""
    return Cos()(operand(x), name=name)
