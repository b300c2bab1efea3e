"""Targets: what a data set asks a model for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field

from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.leaves import placeholder
from dltrain.task.prediction import Bernoulli, Categorical, Point, Prediction

Size = Annotated[int, Field(ge=1, lt=2**62, strict=True)]
Shape = tuple[Size, ...]


class Target(ABC):
    """What a data set asks a model for.

    Attributes:
        shape: of one example's target.
        kind: the word for it, the value of `dataset.target` in a config.
        dtype: in which it is fed.
        prediction: what a model makes of its scores, unless it is told.
        predictions: what a model may make of them.
        is_input: whether it is the input itself.
    """

    # Of one that is read from a checkpoint.
    __pydantic_config__ = ConfigDict(extra="forbid")

    shape: Shape
    kind: Any
    dtype: ClassVar[np.dtype[Any]]
    prediction: ClassVar[type[Prediction]] = Point
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Prediction,)
    is_input: ClassVar[bool] = False

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what a model gives for one example."""
        return self.shape

    @abstractmethod
    def __str__(self) -> str:
        """What it is, for errors; begins with `kind`."""

    def of(self, inputs: Tensor) -> Tensor:
        """The targets of a batch in the graph, `(batch, *shape)`: a placeholder, or `inputs`."""
        return placeholder(self.dtype, ("batch", *self.shape), name="target")


@dataclass(frozen=True)
class ClassTarget(Target):
    """One of several classes, for an example or for each position of it.

    Attributes:
        classes: how many; they are 0 to classes - 1.
    """

    classes: Size
    shape: Shape = ()
    dtype: ClassVar[np.dtype[Any]] = np.dtype("int64")
    prediction: ClassVar[type[Prediction]] = Categorical
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Categorical,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (*self.shape, self.classes)

    def __str__(self) -> str:
        return f"{self.kind}, one of {self.classes} classes"


@dataclass(frozen=True)
class LabelTarget(ClassTarget):
    """One of several classes for each example."""

    kind: Literal["label"] = "label"


@dataclass(frozen=True)
class PositionsTarget(ClassTarget):
    """One of several classes at each position of an example."""

    kind: Literal["positions"] = "positions"


@dataclass(frozen=True)
class FloatTarget(Target):
    """Floating numbers, in the shape of the model's output."""

    shape: Shape
    dtype: ClassVar[np.dtype[Any]] = np.dtype("float32")


@dataclass(frozen=True)
class MultiLabelTarget(FloatTarget):
    """Labels of which each is so, 1, or not, 0."""

    kind: Literal["multi_label"] = "multi_label"
    prediction: ClassVar[type[Prediction]] = Bernoulli
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Bernoulli,)

    def __str__(self) -> str:
        return f"{self.kind}, yes or no"


@dataclass(frozen=True)
class NumbersTarget(FloatTarget):
    """Numbers of any kind: regression."""

    kind: Literal["numbers"] = "numbers"

    def __str__(self) -> str:
        return f"{self.kind}, {list(self.shape)} an example"


@dataclass(frozen=True)
class InputTarget(FloatTarget):
    """The input itself, which is to be reconstructed."""

    kind: Literal["input"] = "input"
    is_input: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"{self.kind}, which the model gives back"

    def of(self, inputs: Tensor) -> Tensor:
        return inputs


KINDS: tuple[type[Target], ...] = (LabelTarget, PositionsTarget, MultiLabelTarget, NumbersTarget, InputTarget)
