"""Activations: the nonlinear function after a layer's weighted sums, elementwise but for softmax."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.config import Component


class Activation(Component, kind="activation"):
    """A function of a tensor that keeps its shape."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """The function's value, in the shape of `x`."""


class Linear(Activation, name="linear"):
    """x: no activation; formula: f(x) = x."""

    def __call__(self, x: Tensor) -> Tensor:
        return x


class Relu(Activation, name="relu"):
    """max(0, x) (Nair and Hinton, 2010)."""

    def __call__(self, x: Tensor) -> Tensor:
        return ops.relu(x)


class LeakyRelu(Activation, name="leaky_relu"):
    """x where x > 0, else slope * x (Maas et al., 2013)."""

    slope: float = Field(default=0.01, ge=0, lt=1, description="derivative below 0")

    def __call__(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, self.slope)


class Elu(Activation, name="elu"):
    """x where x > 0, else alpha * (exp(x) - 1) (Clevert et al., 2016)."""

    alpha: float = Field(default=1.0, gt=0, description="minus the limit for very negative inputs")

    def __call__(self, x: Tensor) -> Tensor:
        return ops.elu(x, self.alpha)


class Gelu(Activation, name="gelu"):
    """x * P(N(0, 1) <= x), in its tanh approximation (Hendrycks and Gimpel, 2016, section 2):
    0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
    """

    def __call__(self, x: Tensor) -> Tensor:
        return ops.gelu(x)


class Silu(Activation, name="silu"):
    """x * sigmoid(x), also called swish (Elfwing et al., 2018)."""

    def __call__(self, x: Tensor) -> Tensor:
        return ops.silu(x)


class Softplus(Activation, name="softplus"):
    """log(1 + exp(x)) (Dugas et al., 2001)."""

    def __call__(self, x: Tensor) -> Tensor:
        return ops.softplus(x)


class Sigmoid(Activation, name="sigmoid"):
    """1 / (1 + exp(-x)), the logistic function (Rumelhart et al., 1986)."""

    def __call__(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)


class Tanh(Activation, name="tanh"):
    """The hyperbolic tangent (LeCun et al., Efficient BackProp, 1998, section 4.4)."""

    def __call__(self, x: Tensor) -> Tensor:
        return ops.tanh(x)


class Softmax(Activation, name="softmax"):
    """exp(x_i) / sum_j exp(x_j) over the last axis: probabilities of classes (Bridle, 1990)."""

    def __call__(self, x: Tensor) -> Tensor:
        return ops.softmax(x)
