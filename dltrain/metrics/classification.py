"""accuracy, top_k_accuracy, confusion_matrix: how often the right class is found; perplexity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.leaves import constant
from dltrain.autodiff.spec import Array
from dltrain.metrics.metric import Mean, Metric
from dltrain.places import Key
from dltrain.task import Categorical, ClassTarget, MultiLabelTarget, Prediction, Probabilities, Target
from dltrain.task.fitting import TARGET


class Accuracy(Mean, name="accuracy"):
    """Share of examples (or positions) whose most probable class is the right one: mean of
    [argmax_k p_k = label]; of labels of yes or no, share of those that are told right at p > 1/2.

    Of classes that tie the first counts. Source: Bishop, Pattern Recognition and Machine Learning, 2006,
    section 1.5.1 (one minus the misclassification rate).
    """

    unit: ClassVar[str] = "%"
    higher_is_better: ClassVar[bool] = True
    targets: ClassVar[tuple[type[Target], ...]] = (ClassTarget, MultiLabelTarget)
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Probabilities,)

    def each(self, prediction: Prediction, target: Tensor) -> Tensor:
        assert isinstance(prediction, Probabilities)
        return ops.equal(prediction.decided(), target)


class TopKAccuracy(Mean, name="top_k_accuracy"):
    """Share of examples whose right class is among the k most probable ones; formula: mean of
    [number of classes before the label < k]. Of classes that tie the first is before the others, so that
    k = 1 is accuracy. Source: Russakovsky et al., ImageNet challenge, 2015, section 4.1.

    Among the figures its name has the number, as in top_2_accuracy, but for the default of 5.
    """

    unit: ClassVar[str] = "%"
    higher_is_better: ClassVar[bool] = True
    targets: ClassVar[tuple[type[Target], ...]] = (ClassTarget,)
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Categorical,)

    k: int = Field(default=5, gt=0, description="how many classes count")

    @property
    def label(self) -> str:
        default = type(self).model_fields["k"].default
        return self.component_name if self.k == default else f"top_{self.k}_accuracy"

    def check_prediction(self, prediction: type[Prediction], target: Target, key: Key) -> None:
        super().check_prediction(prediction, target, key)
        classes = target.output_shape[-1]
        if self.k > classes:
            why, fix = f"k is {self.k}, but there are {classes} classes", f"set k to {classes} or less"
            raise self.misfit("data set", key, TARGET, why=why, fix=fix)

    def each(self, prediction: Prediction, target: Tensor) -> Tensor:
        assert isinstance(prediction, Categorical)
        scores, label = prediction.scores, ops.expand_dims(target, -1)
        numbers = constant(range(prediction.classes))
        its_score = ops.max(
            ops.where(ops.equal(numbers, label), scores, float("-inf")), axis=-1, keepdims=True
        )
        first_of_ties = ops.logical_and(ops.equal(scores, its_score), ops.less(numbers, label))
        before = ops.logical_or(ops.greater(scores, its_score), first_of_ties)
        return ops.less(ops.sum(ops.cast(before, "int64"), axis=-1), self.k)


class ConfusionMatrix(Metric, name="confusion_matrix"):
    """Counts of examples (or positions) by right class (row) and found class (column), `(classes, classes)`
    int64; formula: sum over examples of one_hot(label) one_hot(argmax p)^T. Source: Townsend, 1971.
    """

    targets: ClassVar[tuple[type[Target], ...]] = (ClassTarget,)
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Categorical,)

    @property
    def is_number(self) -> bool:
        return False

    def sums(self, prediction: Prediction, target: Tensor) -> Sequence[Tensor]:
        assert isinstance(prediction, Categorical)
        right, found = prediction.indicators(target), prediction.indicators(prediction.decided())
        counts = ops.matmul(right, found, transpose_a=True)
        return [ops.cast(ops.sum(counts, axis=range(counts.spec.rank - 2)), "int64")]

    def figure(self, *totals: Any) -> float | Array:
        (counts,) = totals
        return np.asarray(counts)


class Perplexity(Mean, name="perplexity"):
    """exp of the mean of -log p of the right class over examples and positions: how many classes, equally
    probable, would be as hard to tell (Jelinek et al., 1977).
    """

    targets: ClassVar[tuple[type[Target], ...]] = (ClassTarget,)
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Categorical,)

    def each(self, prediction: Prediction, target: Tensor) -> Tensor:
        return ops.softmax_cross_entropy(prediction.scores, target)

    def figure(self, *totals: Any) -> float | Array:
        with np.errstate(over="ignore"):
            return float(np.exp(super().figure(*totals)))
