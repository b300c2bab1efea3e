"""precision, recall, f1 and roc_auc: how well each class is told from all else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from math import nan
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.spec import Array
from dltrain.metrics.metric import Metric
from dltrain.task import ClassTarget, MultiLabelTarget, Prediction, Probabilities, Target


class _OfEachClass(Metric):
    """A figure of each class, or label of yes or no, against all else; and their mean."""

    higher_is_better: ClassVar[bool] = True
    targets: ClassVar[tuple[type[Target], ...]] = (ClassTarget, MultiLabelTarget)
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Probabilities,)


class _OfCounts(_OfEachClass):
    """A ratio of counts: of how often a class was found, how often it was right, and how often both."""

    unit: ClassVar[str] = "%"

    average: Literal["macro", "micro", "none"] = Field(
        default="macro",
        description="'macro': the mean over the classes that are found or right anywhere; 'micro': of all "
        "classes' counts together; 'none': an array, a number a class",
    )

    @property
    def label(self) -> str:
        suffix = {"macro": "", "micro": "_micro", "none": "_by_class"}[self.average]
        return self.component_name + suffix

    @property
    def is_number(self) -> bool:
        return self.average != "none"

    def sums(self, prediction: Prediction, target: Tensor) -> Sequence[Tensor]:
        assert isinstance(prediction, Probabilities)
        right, found = prediction.indicators(target), prediction.indicators(prediction.decided())
        axes = range(right.spec.rank - 1)
        return [ops.sum(x, axis=axes) for x in (right * found, found, right)]

    def figure(self, *totals: Any) -> float | Array:
        if self.average == "micro":
            return float(self.of_counts(*(np.sum(x, keepdims=True) for x in totals))[0])
        both, found, right = totals
        figures = self.of_counts(both, found, right)
        if self.average == "none":
            return figures
        occurs = (found > 0) | (right > 0)
        return float(figures[occurs].mean()) if occurs.any() else 0.0

    @abstractmethod
    def of_counts(self, both: Array, found: Array, right: Array) -> Array:
        """The figure of each class, all `(classes,)` and float64."""


class Precision(_OfCounts, name="precision"):
    """Of what was found, how much is right: both / found, 0 where nothing was found (van Rijsbergen,
    Information Retrieval, 1979, chapter 7).
    """

    def of_counts(self, both: Array, found: Array, right: Array) -> Array:
        return _ratio(both, found)


class Recall(_OfCounts, name="recall"):
    """Of what is right, how much was found: both / right, 0 where there is none (van Rijsbergen, 1979)."""

    def of_counts(self, both: Array, found: Array, right: Array) -> Array:
        return _ratio(both, right)


class F1(_OfCounts, name="f1"):
    """Harmonic mean of precision and recall, 2 both / (found + right): 0 where there is none of either (van
    Rijsbergen, 1979).
    """

    def of_counts(self, both: Array, found: Array, right: Array) -> Array:
        return _ratio(2 * both, found + right)


class RocAuc(_OfEachClass, name="roc_auc"):
    """Area under the ROC curve: the probability that a positive example has a higher score than a negative
    one, P(s+ > s-) + P(s+ = s-) / 2 (Hanley and McNeil, 1982); the mean over the classes, each against all
    others, that have examples of both kinds, nan where none has.

    It is exact: the scores of all examples are kept, 9 bytes a class and example, and sorted at the end. Of
    classes the scores are log p, in float64, which tells apart what p would not.
    """

    keeps_examples: ClassVar[bool] = True

    def sums(self, prediction: Prediction, target: Tensor) -> Sequence[Tensor]:
        assert isinstance(prediction, Probabilities)
        right = prediction.indicators(target)
        return [ops.reshape(prediction.ranking(), right.shape), ops.greater(right, 0)]

    def figure(self, *totals: Any) -> float | Array:
        scores, right = (x.reshape(-1, x.shape[-1]).T for x in totals)
        areas = [_area(*one) for one in zip(scores, right, strict=True) if 0 < one[1].sum() < one[1].size]
        return float(np.mean(areas)) if areas else nan


def _ratio(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _area(scores: Array, positive: Array) -> float:
    """Of the pairs of a positive and a negative example, the share in which the positive one is before."""
    values, place = np.unique(scores, return_inverse=True)
    positives = np.bincount(place, positive, len(values))
    negatives = np.bincount(place, ~positive, len(values))
    below = np.cumsum(negatives) - negatives
    pairs = positives.sum() * negatives.sum()
    return float((positives * (below + negatives / 2)).sum() / pairs)
