"""Metric: a figure of how good a model is, made of sums over the examples of a data set."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor, name_scope
from dltrain.autodiff.ops.shape import filled
from dltrain.autodiff.spec import Array
from dltrain.task import Prediction, TaskPart


class Metric(TaskPart, kind="metric"):
    """Sums over examples, and the figure that is made of them: so it does not depend on how examples are cut
    into batches, and may be a ratio of sums.
    """

    unit: ClassVar[str] = ""
    """`%` for a share, which is shown in per cent; else empty."""

    higher_is_better: ClassVar[bool] = False
    """Whether more of it is better: so the best checkpoint is found, unless `mode` is given."""

    keeps_examples: ClassVar[bool] = False
    """Whether `sums` gives numbers of each example, `(batch, ...)`, which are laid end to end, not added."""

    @property
    def label(self) -> str:
        """Its name among the figures of a run, in which two metrics of a config differ."""
        return self.component_name

    @property
    def is_number(self) -> bool:
        """Whether the figure is one number, which can be watched and drawn as a curve; else an array."""
        return True

    @abstractmethod
    def sums(self, prediction: Prediction, target: Tensor) -> Sequence[Tensor]:
        """Of a batch, what adds up over batches.

        Arguments:
            prediction: one of `predictions`.
            target: `(batch, ...)`, of one of `targets`.

        Raises:
            ConfigError: the metric does not fit them.
        """

    @abstractmethod
    def figure(self, *totals: Any) -> float | Array:
        """The figure.

        Arguments:
            totals: of `sums`, in their order; Python numbers, or arrays of those that have dimensions.
        """

    def build(self, prediction: Prediction, target: Tensor) -> tuple[Tensor, ...]:
        """`sums`, see there, in a name scope."""
        with target.graph, name_scope(self.label):
            return tuple(self.sums(prediction, target))


class Mean(Metric):
    """The mean of a number of each example, or of each position of it."""

    @abstractmethod
    def each(self, prediction: Prediction, target: Tensor) -> Tensor:
        """The numbers, or truths, `(batch, ...)`; see `sums` for errors."""

    def sums(self, prediction: Prediction, target: Tensor) -> Sequence[Tensor]:
        x = ops.cast(self.each(prediction, target), "float64")  # so that batches add up exactly
        return ops.sum(x), ops.sum(filled(1.0, x))

    def figure(self, *totals: Any) -> float | Array:
        total, count = totals
        return float(total / count)
