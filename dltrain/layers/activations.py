"""Activations: the nonlinear function after a layer's weighted sums, elementwise but for softmax."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.config import Component
from dltrain.task import Bernoulli, Categorical, Point, Prediction


class Activation(Component, kind="activation"):
    """A function of a tensor that keeps its shape.

    Attributes:
        prediction: what it means at the end of a model.
        elementwise: whether each number depends on one number alone.
    """

    prediction: ClassVar[type[Prediction]] = Point
    elementwise: ClassVar[bool] = True

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """The function's value, in the shape of `x`."""


class _Op(Activation):
    """The op of the same name, with the fields as its arguments."""

    def __call__(self, x: Tensor) -> Tensor:
        value: Tensor = getattr(ops, self.component_name)(x, **dict(self))
        return value


class Linear(Activation, name="linear"):
    """x: no activation; formula: f(x) = x."""

    def __call__(self, x: Tensor) -> Tensor:
        return x


class Relu(_Op, name="relu"):
    """max(0, x) (Nair and Hinton, 2010)."""


class LeakyRelu(_Op, name="leaky_relu"):
    """x where x > 0, else slope * x (Maas et al., 2013)."""

    slope: float = Field(default=0.01, ge=0, lt=1, description="derivative below 0")


class Elu(_Op, name="elu"):
    """x where x > 0, else alpha * (exp(x) - 1) (Clevert et al., 2016)."""

    alpha: float = Field(default=1.0, gt=0, description="minus the limit for very negative inputs")


class Gelu(_Op, name="gelu"):
    """x * P(N(0, 1) <= x), in its tanh approximation (Hendrycks and Gimpel, 2016, section 2):
    0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
    """


class Silu(_Op, name="silu"):
    """x * sigmoid(x), also called swish (Elfwing et al., 2018)."""


class Softplus(_Op, name="softplus"):
    """log(1 + exp(x)) (Dugas et al., 2001)."""


class Sigmoid(_Op, name="sigmoid"):
    """1 / (1 + exp(-x)), the logistic function (Rumelhart et al., 1986)."""

    prediction = Bernoulli


class Tanh(_Op, name="tanh"):
    """The hyperbolic tangent (LeCun et al., Efficient BackProp, 1998, section 4.4)."""


class Softmax(_Op, name="softmax"):
    """exp(x_i) / sum_j exp(x_j) over the last axis: probabilities of classes (Bridle, 1990)."""

    prediction = Categorical
    elementwise = False
