"""Metric: a figure of how good a model is, that combines exactly over batches."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal, Protocol

from dltrain.autodiff.graph import Tensor, name_scope
from dltrain.config import Component
from dltrain.places import Key

KEYS = Key("metrics"), Key("dataset", "target")  # of a metric and a data set that do not fit


class Prediction(Protocol):
    """What a metric needs to know of a model's output for a batch.

    Attributes:
        output: float, `(batch, ...)`.
        logits: the value before a final softmax or sigmoid, in the shape of `output`, or None.
    """

    @property
    def output(self) -> Tensor: ...
    @property
    def logits(self) -> Tensor | None: ...


class Metric(Component, kind="metric"):
    """A figure of a batch; that of many batches is found by `reduction`."""

    reduction: ClassVar[Literal["mean", "sum"]] = "mean"
    """How batches combine: "mean" weighs each batch by its number of examples, "sum" adds up."""

    @abstractmethod
    def compute(self, prediction: Prediction, target: Tensor) -> Tensor:
        """The figure of a batch, as graph."""

    def build(self, prediction: Prediction, target: Tensor) -> Tensor:
        """The figure of a batch: a float64 scalar, or int64 counts where `reduction` is "sum".

        Raises:
            ConfigError: the metric fits neither the model's output nor the data set's target.
        """
        with target.graph, name_scope(self.component_name):
            return self.compute(prediction, target)
