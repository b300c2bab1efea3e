"""What the conformance suite knows of an op: how to call it, what it must give, and on which inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dltrain.autodiff.dimensions import Shape
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.leaves import placeholder
from dltrain.autodiff.op import Op
from dltrain.autodiff.spec import Array

SIZES = {"batch": 3, "width": 2}
"""What the named dimensions in the cases' shapes are bound to."""

UNARY = (((2, 3),), (("batch", 4),), ((),), ((1, 1),), ((0, 3),))
BINARY = (
    ((2, 3), (2, 3)),
    (("batch", 4), (4,)),
    ((4,), ("batch", 4)),
    ((3, 1), (1, 2)),
    ((), (2, 2)),
    (("batch", 2), ("batch", 1)),
    ((1,), (1,)),
    ((0, 3), (1, 3)),
)
TERNARY = (
    ((2, 3), (2, 3), (2, 3)),
    (("batch", 1), (4,), ()),
    ((4,), ("batch", 4), (1, 1)),
    ((), (), ()),
    ((0, 2), (1, 2), (0, 1)),
)


@dataclass(frozen=True)
class Numbers:
    """What an input holds.

    Arguments:
        low, high: range of the floats (spread over it, none equal, none at 0) or of the integers, from low
            up to and without high.
        dtype: None for the float dtype under test.
    """

    low: float = -2.0
    high: float = 2.0
    dtype: str | None = None

    def draw(self, shape: tuple[int, ...], dtype: str, seed: int) -> Array:
        random = np.random.default_rng(seed)
        if self.dtype == "bool":
            return random.integers(0, 2, shape).astype(bool)
        if self.dtype is not None:
            return random.integers(int(self.low), int(self.high), shape).astype(self.dtype)
        count = int(np.prod(shape))
        places = (random.permutation(count) + 0.21 + 0.13 * (seed % 5)) / max(count, 1)
        return (self.low + (self.high - self.low) * places).reshape(shape).astype(dtype)


FLOATS = Numbers()
POSITIVE = Numbers(0.3, 3.0)
BOOLS = Numbers(dtype="bool")


@dataclass(frozen=True)
class Case:
    """One way to use one public function.

    Arguments:
        function: its name in dltrain.autodiff.ops; of an op without function, the class' name.
        build: makes the output from the inputs' tensors.
        reference: computes it from float64 arrays, by another formula than the kernel's; None for random ops.
        op: the class that the case covers; None where the function only combines other ops.
        shapes: alternatives, each with one shape for each input.
        numbers: what each input holds, the last entry for all that follow.
        differentiable: in all its float inputs.
        smooth: differentiable twice, so that second derivatives are checked.
        label: distinguishes several cases of one function.
    """

    function: str
    build: Callable[..., Tensor]
    reference: Callable[..., Any] | None
    op: type[Op] | None
    shapes: Sequence[Sequence[Shape]]
    numbers: Sequence[Numbers] = (FLOATS,)
    differentiable: bool = True
    smooth: bool = True
    label: str = ""

    @property
    def id(self) -> str:
        return f"{self.function}-{self.label}" if self.label else self.function

    def inputs(self, shapes: Sequence[Shape], dtype: str) -> tuple[list[Tensor], list[Array]]:
        """Placeholders of the given shapes, and arrays to feed them."""
        tensors, arrays = [], []
        for position, shape in enumerate(shapes):
            numbers = self.numbers[min(position, len(self.numbers) - 1)]
            tensor = placeholder(numbers.dtype or dtype, shape, f"input_{position}")
            tensors.append(tensor)
            arrays.append(numbers.draw(tensor.spec.bind(SIZES).sizes, dtype, position))
        return tensors, arrays


def each(function: Callable[..., Any]) -> Callable[..., Array]:
    """A function of Python numbers, applied element by element under broadcasting."""

    def elementwise(*arrays: Array) -> Array:
        broadcast = np.broadcast_arrays(*arrays)
        columns = [array.ravel().tolist() for array in broadcast]
        values = [function(*numbers) for numbers in zip(*columns, strict=True)]
        return np.array(values).reshape(broadcast[0].shape)

    return elementwise
