"""Targets: what a data set asks a model for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.leaves import placeholder
from dltrain.task.prediction import Bernoulli, Categorical, Point, Prediction


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

    kinds: ClassVar[dict[str, type[Target]]] = {}
    """The classes by their word."""

    shape: tuple[int, ...]
    kind: ClassVar[str]
    dtype: ClassVar[np.dtype[Any]]
    prediction: ClassVar[type[Prediction]] = Point
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Prediction,)
    is_input: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in vars(cls):
            Target.kinds[cls.kind] = cls

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what a model gives for one example."""
        return self.shape

    def plain(self) -> dict[str, Any]:
        """The target as plain data, which `read_target` reads again."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]

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

    classes: int
    shape: tuple[int, ...] = ()
    dtype: ClassVar[np.dtype[Any]] = np.dtype("int64")
    prediction: ClassVar[type[Prediction]] = Categorical
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Categorical,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (*self.shape, self.classes)

    def __str__(self) -> str:
        return f"{self.kind}, one of {self.classes} classes"


class LabelTarget(ClassTarget):
    """One of several classes for each example."""

    kind: ClassVar[str] = "label"


class PositionsTarget(ClassTarget):
    """One of several classes at each position of an example."""

    kind: ClassVar[str] = "positions"


@dataclass(frozen=True)
class FloatTarget(Target):
    """Floating numbers, in the shape of the model's output."""

    shape: tuple[int, ...]
    dtype: ClassVar[np.dtype[Any]] = np.dtype("float32")


class MultiLabelTarget(FloatTarget):
    """Labels of which each is so, 1, or not, 0."""

    kind: ClassVar[str] = "multi_label"
    prediction: ClassVar[type[Prediction]] = Bernoulli
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Bernoulli,)

    def __str__(self) -> str:
        return f"{self.kind}, yes or no"


class NumbersTarget(FloatTarget):
    """Numbers of any kind: regression."""

    kind: ClassVar[str] = "numbers"

    def __str__(self) -> str:
        return f"{self.kind}, {list(self.shape)} an example"


class InputTarget(FloatTarget):
    """The input itself, which is to be reconstructed."""

    kind: ClassVar[str] = "input"
    is_input: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"{self.kind}, which the model gives back"

    def of(self, inputs: Tensor) -> Tensor:
        return inputs


def read_target(value: object) -> Target:
    """The target that plain data describe, or that `value` is.

    Raises:
        ValueError: they describe none.
    """
    if isinstance(value, Target):
        return value
    try:
        keys = dict(value)  # type: ignore[call-overload]
        cls = Target.kinds[keys.pop("kind")]
        target = cls(**{**keys, "shape": tuple(keys.get("shape", ()))})
    except (KeyError, TypeError, ValueError):
        raise ValueError("no target") from None
    if not all(type(size) is int and 0 < size < 2**62 for size in target.output_shape):
        raise ValueError("no shape of a target")
    return target
