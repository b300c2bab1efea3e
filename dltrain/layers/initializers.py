"""Initializers: the first values of a layer's variables.

fan_in and fan_out are the numbers of inputs and outputs of one unit: the sizes of a kernel
(fan_in, fan_out); further axes in front of these two, as in a convolution, multiply both.
"""

from __future__ import annotations

from abc import abstractmethod
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dltrain.autodiff.philox import philox, stream_of
from dltrain.config import Component
from dltrain.errors import GraphError

Values = NDArray[np.float64]


def generator_for(seed: int, name: str) -> np.random.Generator:
    """The random numbers of the variable called `name`: a pure function of both arguments.

    So a layer that is added or taken away leaves the first values of the others as they are.
    """
    return np.random.Generator(philox(seed % 2**64, stream_of(name)))


class Initializer(Component, kind="initializer"):
    """What gives a variable its first values."""

    @abstractmethod
    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        """First values of a variable of `shape`; the same again from an equal generator."""


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a variable; of a vector both are its size. Never below 1."""
    if len(shape) < 2:
        size = max(1, prod(shape))
        return size, size
    field = prod(shape[:-2])
    return max(1, field * shape[-2]), max(1, field * shape[-1])


def uniform(variance: float, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
    """Uniform on (-a, a) with a = sqrt(3 variance)."""
    limit = sqrt(3 * variance)
    return generator.uniform(-limit, limit, shape)


def normal(variance: float, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
    """Values of N(0, variance)."""
    return generator.normal(0.0, sqrt(variance), shape)


class GlorotUniform(Initializer, name="glorot_uniform"):
    """U(-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010, equation 16)."""

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        return uniform(2 / sum(fans(shape)), shape, generator)


class GlorotNormal(Initializer, name="glorot_normal"):
    """N(0, s^2) with s^2 = 2 / (fan_in + fan_out) (Glorot and Bengio, 2010, equation 12)."""

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        return normal(2 / sum(fans(shape)), shape, generator)


class HeUniform(Initializer, name="he_uniform"):
    """U(-a, a) with a = sqrt(6 / fan_in): the variance of he_normal (He et al., 2015, equation 10)."""

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        return uniform(2 / fans(shape)[0], shape, generator)


class HeNormal(Initializer, name="he_normal"):
    """N(0, s^2) with s^2 = 2 / fan_in, for relu (He et al., 2015, equation 10)."""

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        return normal(2 / fans(shape)[0], shape, generator)


class LecunUniform(Initializer, name="lecun_uniform"):
    """U(-a, a) with a = sqrt(3 / fan_in): the variance of lecun_normal (LeCun et al., 1998, equation 16)."""

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        return uniform(1 / fans(shape)[0], shape, generator)


class LecunNormal(Initializer, name="lecun_normal"):
    """N(0, s^2) with s^2 = 1 / fan_in (LeCun et al., Efficient BackProp, 1998, equation 16)."""

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        return normal(1 / fans(shape)[0], shape, generator)


class RandomNormal(Initializer, name="random_normal"):
    """N(mean, standard_deviation^2), whatever the shape; source: the normal distribution."""

    mean: float = Field(default=0.0, description="mean of the values")
    standard_deviation: float = Field(default=0.05, gt=0, description="standard deviation of the values")

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        return generator.normal(self.mean, self.standard_deviation, shape)


class TruncatedNormal(Initializer, name="truncated_normal"):
    """N(mean, standard_deviation^2) where values beyond two standard deviations are drawn again.

    The standard deviation of what remains is 0.8796 of `standard_deviation`. Source: rejection sampling
    (von Neumann, 1951).
    """

    mean: float = Field(default=0.0, description="mean of the values")
    standard_deviation: float = Field(default=0.05, gt=0, description="standard deviation before truncation")

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        drawn = generator.standard_normal(shape)
        while (beyond := np.abs(drawn) > 2).any():
            drawn[beyond] = generator.standard_normal(np.count_nonzero(beyond))
        return self.mean + self.standard_deviation * drawn


class Orthogonal(Initializer, name="orthogonal"):
    """gain times a random matrix with orthonormal columns, or rows where these are fewer (Saxe et al., 2014).

    Q of a normal matrix' QR decomposition, signs fixed by R's diagonal so that it is uniformly distributed
    (Mezzadri, 2007). Axes before the last are taken together as the rows.
    """

    gain: float = Field(default=1.0, gt=0, description="factor of the orthonormal matrix")

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        if len(shape) < 2:
            raise GraphError(
                "orthogonal initial values need a matrix",
                why=f"the variable's shape is {list(shape)}",
                fix="use another initializer for biases, zeros for example",
            )
        rows, columns = prod(shape[:-1]), shape[-1]
        tall = generator.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
        values: Values = self.gain * (q if rows >= columns else q.T).reshape(shape)
        return values


class Zeros(Initializer, name="zeros"):
    """0 everywhere; formula: w = 0. The usual start of biases, and of convex problems."""

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        return np.zeros(shape)


class Constant(Initializer, name="constant"):
    """The same value everywhere; formula: w = value."""

    value: float = Field(description="the value")

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
        return np.full(shape, self.value)
