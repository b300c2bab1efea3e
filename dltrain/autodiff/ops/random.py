"""Random numbers as a function of (seed, stream, step), without a state.

They come from Philox, with seed and stream as its key and step as its counter. The stream comes from the
node's unique name. So every node draws numbers of its own, a run can be repeated from any step, and the order
in which nodes run does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from dltrain.autodiff.dimensions import Dimension, Shape
from dltrain.autodiff.graph import Tensor, TensorLike, default_graph, name_scope
from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.arithmetic import multiply
from dltrain.autodiff.ops.bases import operand
from dltrain.autodiff.philox import philox, stream_of
from dltrain.autodiff.spec import Array, Spec, as_dtype, as_shape
from dltrain.errors import GraphError

__all__ = ["dropout", "random_normal", "random_uniform", "truncated_normal"]


@dataclass(frozen=True)
class Random(Op, abstract=True):
    """Numbers of the given shape drawn for (seed, stream, step); step is the input. `out` is contiguous."""

    shape: Shape
    dtype: np.dtype[Any]
    seed: int
    stream: int

    def infer(self, step: Spec) -> Spec:
        if step.shape or step.dtype != np.int64:
            raise GraphError(f"the step is {step}, not one int64")
        if self.dtype.kind != "f":
            raise GraphError(
                f"random numbers are float32 or float64, not {self.dtype.name}", fix="cast() them"
            )
        return Spec(self.shape, self.dtype)

    def bits(self, step: Array) -> np.random.Philox:
        """The generator at the start of this step's numbers."""
        return philox(self.seed, self.stream, step)


@dataclass(frozen=True)
class RandomUniform(Random):
    """Uniform from low up to, and without, high."""

    low: float
    high: float

    def compute(self, step: Array, *, out: Array) -> None:
        np.random.Generator(self.bits(step)).random(dtype=out.dtype, out=out)
        np.multiply(out, self.high - self.low, out=out)
        np.add(out, self.low, out=out)
        below_high = np.nextafter(out.dtype.type(self.high), out.dtype.type(self.low))
        np.minimum(out, below_high, out=out)  # rounding could have reached high


@dataclass(frozen=True)
class RandomNormal(Random):
    """Normal with the given mean and standard deviation."""

    mean: float
    stddev: float

    def compute(self, step: Array, *, out: Array) -> None:
        self.draw(np.random.Generator(self.bits(step)), out)
        np.multiply(out, self.stddev, out=out)
        np.add(out, self.mean, out=out)

    def __post_init__(self) -> None:
        if not 0 <= self.stddev < float("inf"):
            raise GraphError(f"the standard deviation {self.stddev} is not a finite number from 0 up")

    def draw(self, generator: np.random.Generator, out: Array) -> None:
        """Fill `out` with numbers of the standard distribution."""
        generator.standard_normal(dtype=out.dtype, out=out)


class TruncatedNormal(RandomNormal):
    """Normal, drawn again until it lies within two standard deviations of the mean."""

    def draw(self, generator: np.random.Generator, out: Array) -> None:
        super().draw(generator, out)
        numbers = out.reshape(-1)
        outside = np.flatnonzero(np.abs(numbers) > 2)
        while outside.size:
            numbers[outside] = generator.standard_normal(outside.size, dtype=out.dtype)
            outside = outside[np.abs(numbers[outside]) > 2]


@dataclass(frozen=True)
class DropoutMask(Random):
    """0 with probability `rate`, else 1 / (1 - rate)."""

    rate: float

    def compute(self, step: Array, *, out: Array) -> None:
        words = self.bits(step).random_raw(1 + -(-out.size // 4))
        # 16 bits decide on one element. The threshold is rounded up or down at random, so that the
        # probability is exactly that asked for.
        threshold = int((1 - self.rate) * 2**16 + float(words[0]) / 2**64)
        draws = words[1:].view(np.uint16)[: out.size].reshape(out.shape)
        np.less(draws, threshold, out=out)  # NumPy writes the bools as floats
        np.multiply(out, 1 / (1 - self.rate), out=out)


def random_uniform(
    shape: Sequence[Dimension],
    low: float = 0.0,
    high: float = 1.0,
    dtype: DTypeLike = "float32",
    step: Tensor | None = None,
    seed: int | None = None,
    name: str = "random_uniform",
) -> Tensor:
    """Uniform random numbers in [low, high).

    Arguments:
        shape: sizes, or named dimensions that the run binds.
        dtype: float32 or float64.
        step: int64 scalar; equal steps give equal numbers. Default the graph's step.
        seed: 0 or more; default the graph's.

    Raises:
        GraphError: low is not below high, or the seed is not in 0..2^64-1.
    """
    if not low < high:
        raise GraphError(f"random_uniform: low {low} is not below high {high}")
    make = partial(RandomUniform, as_shape(shape), as_dtype(dtype), low=float(low), high=float(high))
    return _add(make, step, seed, name)


def random_normal(
    shape: Sequence[Dimension],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: DTypeLike = "float32",
    step: Tensor | None = None,
    seed: int | None = None,
    name: str = "random_normal",
) -> Tensor:
    """Normal random numbers; arguments as of `random_uniform`.

    Raises:
        GraphError: stddev is negative, or the seed is not in 0..2^64-1.
    """
    make = partial(RandomNormal, as_shape(shape), as_dtype(dtype), mean=float(mean), stddev=float(stddev))
    return _add(make, step, seed, name)


def truncated_normal(
    shape: Sequence[Dimension],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: DTypeLike = "float32",
    step: Tensor | None = None,
    seed: int | None = None,
    name: str = "truncated_normal",
) -> Tensor:
    """Normal random numbers, drawn again until within two standard deviations.

    The standard deviation of what remains is 0.8796 stddev. Arguments as of `random_uniform`.

    Raises:
        GraphError: stddev is negative, or the seed is not in 0..2^64-1.
    """
    make = partial(TruncatedNormal, as_shape(shape), as_dtype(dtype), mean=float(mean), stddev=float(stddev))
    return _add(make, step, seed, name)


def dropout(
    x: TensorLike,
    rate: float,
    step: Tensor | None = None,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """x with each element set to 0 with probability `rate`, the others divided by 1 - rate.

    "Inverted" dropout, which needs no change of scale in evaluation. Srivastava et al. 2014, section 10.

    Arguments:
        x: float32 or float64.
        rate: from 0 (x itself) to below 1.
        step: int64 scalar; equal steps give equal masks. Default the graph's step.
        seed: 0 or more; default the graph's.

    Raises:
        GraphError: rate is not in [0, 1), or the seed is not in 0..2^64-1.
    """
    if not 0 <= rate < 1:
        raise GraphError(f"the dropout rate {rate} is not in [0, 1)")
    tensor = operand(x)
    if rate == 0:
        return tensor
    with tensor.graph, name_scope(name or "dropout"):
        mask = _add(partial(DropoutMask, tensor.shape, tensor.dtype, rate=float(rate)), step, seed, "mask")
        return multiply(tensor, mask)


def _add(make: Callable[..., Random], step: Tensor | None, seed: int | None, name: str) -> Tensor:
    """The node of a random op, whose stream is a hash of the name that the node is going to have.

    Raises:
        GraphError: the seed is out of range; or all turns of a loop would draw the same numbers.
    """
    if step is None and default_graph().outer is not None:
        what, why = f"{name} in the body of a loop", "its numbers are of a step, the same in every turn"
        fix = "give step= a number that the turns count, or draw before the loop, for one turn or for all"
        raise GraphError(what, where=default_graph().names.place(), why=why, fix=fix)
    step = default_graph().step if step is None else step
    graph = step.graph
    seed = graph.seed if seed is None else seed
    if not 0 <= seed < 2**64:
        raise GraphError(f"the seed {seed} is not in 0..2^64-1")
    return make(seed=seed, stream=stream_of(graph.names.unused(name)))(step, name=name)
