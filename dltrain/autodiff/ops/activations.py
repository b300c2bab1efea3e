"""Activation functions, elementwise on float32 or float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dltrain.autodiff.graph import Node, Tensor, TensorLike, name_scope
from dltrain.autodiff.ops.arithmetic import multiply
from dltrain.autodiff.ops.bases import FloatElementwise, operand, unary, workspace_like_out
from dltrain.autodiff.ops.exponential import exp
from dltrain.autodiff.ops.logic import greater, where
from dltrain.autodiff.spec import Array

__all__ = ["elu", "gelu", "leaky_relu", "relu", "sigmoid", "silu", "softplus", "step", "tanh"]


class Sigmoid(FloatElementwise):
    """The logistic function 1 / (1 + exp(-x))."""

    formula = "1 / (1 + exp{F}(-{0}))"

    def compute(self, x: Array, *, out: Array) -> None:
        np.negative(x, out=out)
        np.exp(out, out=out)  # inf for very negative x, and 1 / inf is the right 0
        np.add(out, 1, out=out)
        np.divide(1, out, out=out)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream * (node.output * (1 - node.output))


class Tanh(FloatElementwise):
    """The hyperbolic tangent."""

    formula = "tanh{F}({0})"
    ufunc = np.tanh

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream * (1 - node.output * node.output)


class Relu(FloatElementwise):
    """max(x, 0); its derivative at 0 is taken as 0. Nair and Hinton 2010."""

    formula = "{0} < 0 ? 0 : {0}"

    def compute(self, x: Array, *, out: Array) -> None:
        np.maximum(x, 0, out=out)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream * step(node.output)


class Step(FloatElementwise):
    """1 where x > 0, else 0; its derivative is 0."""

    formula = "{0} > 0"

    def compute(self, x: Array, *, out: Array) -> None:
        np.greater(x, 0, out=out)  # NumPy writes the bools as floats

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        return (None,)


def leaky_relu(x: TensorLike, slope: float = 0.01, name: str | None = None) -> Tensor:
    """x where x > 0, else slope x. Maas, Hannun and Ng 2013."""
    tensor = operand(x)
    with tensor.graph, name_scope(name or "leaky_relu"):
        return where(greater(tensor, 0), tensor, tensor * slope)


@dataclass(frozen=True)
class Elu(FloatElementwise):
    """x where x > 0, else alpha (exp(x) - 1)."""

    alpha: float

    def expression(self) -> str:
        return f"{{0}} > 0 ? {{0}} : ({{T}}){self.alpha!r} * expm1{{F}}({{0}})"

    workspace = workspace_like_out

    def compute(self, x: Array, *, out: Array, workspace: Array | None = None) -> None:
        negative_part = np.minimum(x, 0, out=np.empty_like(x) if workspace is None else workspace)
        np.expm1(negative_part, out=negative_part)
        np.multiply(negative_part, self.alpha, out=negative_part)
        np.maximum(x, 0, out=out)
        np.add(out, negative_part, out=out)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        (x,) = node.inputs
        positive = greater(x, 0)
        return upstream * where(positive, 1, self.alpha * exp(where(positive, 0, x)))


def elu(x: TensorLike, alpha: float = 1.0, name: str | None = None) -> Tensor:
    """x where x > 0, else alpha (exp(x) - 1). Clevert, Unterthiner and Hochreiter 2016, equation 15."""
    return Elu(float(alpha))(operand(x), name=name)


def gelu(x: TensorLike, name: str | None = None) -> Tensor:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    The tanh approximation of x Phi(x), from section 2 of Hendrycks and Gimpel 2016.
    """
    tensor = operand(x)
    with tensor.graph, name_scope(name or "gelu"):
        scale = math.sqrt(2 / math.pi)
        inner = tensor * (scale + scale * 0.044715 * (tensor * tensor))
        return tensor * (0.5 + 0.5 * tanh(inner))


def silu(x: TensorLike, name: str | None = None) -> Tensor:
    """x sigmoid(x). Elfwing, Uchibe and Doya 2018, equation 12."""
    tensor = operand(x)
    with tensor.graph, name_scope(name or "silu"):
        return multiply(tensor, sigmoid(tensor))


class Softplus(FloatElementwise):
    """log(1 + exp(x)), without overflow. Dugas et al. 2001."""

    formula = "({0} < 0 ? 0 : {0}) + log1p{F}(exp{F}(-fabs{F}({0})))"

    workspace = workspace_like_out

    def compute(self, x: Array, *, out: Array, workspace: Array | None = None) -> None:
        # log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))
        beyond_relu = np.absolute(x, out=np.empty_like(x) if workspace is None else workspace)
        np.negative(beyond_relu, out=beyond_relu)
        np.exp(beyond_relu, out=beyond_relu)
        np.log1p(beyond_relu, out=beyond_relu)
        np.maximum(x, 0, out=out)
        np.add(out, beyond_relu, out=out)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream * sigmoid(node.inputs[0])


sigmoid = unary(Sigmoid)
tanh = unary(Tanh)
relu = unary(Relu)
step = unary(Step)
softplus = unary(Softplus)
