"""Figures: what is told of how good a network is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from dltrain.autodiff import Tensor, ops
from dltrain.autodiff.leaves import as_tensor
from dltrain.autodiff.spec import Array
from dltrain.metrics import Metric


@dataclass(frozen=True)
class Figure:
    """The loss or a metric, of any number of batches.

    Attributes:
        sums: of a batch, as graph.
        of: the figure, from the totals of the sums.
        unit, higher_is_better, is_number, keeps_examples: see `Metric`.
    """

    sums: tuple[Tensor, ...]
    of: Callable[..., float | Array]
    unit: str = ""
    higher_is_better: bool = False
    is_number: bool = True
    keeps_examples: bool = False

    @classmethod
    def of_loss(cls, loss: Tensor, targets: Tensor) -> Self:
        """The mean over examples of what `loss` is the mean of over a batch of `targets`."""
        examples = ops.sum(ops.broadcast_to(as_tensor(1.0, "float64"), targets.shape[:1]))
        return cls((ops.cast(loss, "float64") * examples, examples), lambda total, count: total / count)

    @classmethod
    def of_metric(cls, metric: Metric, sums: tuple[Tensor, ...]) -> Self:
        """What the metric makes of the totals of its `sums`."""
        flags = (metric.unit, metric.higher_is_better, metric.is_number, metric.keeps_examples)
        return cls(sums, metric.figure, *flags)
