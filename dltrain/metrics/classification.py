"""accuracy, top_k_accuracy, confusion_matrix: how often the right class is found."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.leaves import constant
from dltrain.metrics.metric import KEYS, Metric, Prediction


class _OfClasses(Metric):
    """A metric of labels, int64 `(batch,)`, and scores, `(batch, classes)`."""

    def scores(self, prediction: Prediction, target: Tensor) -> Tensor:
        """The logits, where there are any: probabilities so near 1 that they are equal still differ there.

        Raises:
            ConfigError: the target is no label.
        """
        output = prediction.output
        if target.spec.is_float or output.spec.rank != 2 or target.shape != output.shape[:1]:
            why = "the metric needs the label as target, and a model that tells classes apart"
            fix = "set dataset.target to label, or use mse or mae"
            raise self.misfit("data set", *KEYS, why=why, fix=fix)
        return output if prediction.logits is None else prediction.logits


def _mean(hits: Tensor) -> Tensor:
    """The share of true values, in float64 so that batches combine exactly."""
    return ops.mean(ops.cast(hits, "float64"))


class Accuracy(_OfClasses, name="accuracy"):
    """Share of examples whose most probable class is the right one: mean of [argmax_k p_k = label].

    Of classes that tie the first counts. Source: Bishop, Pattern Recognition and Machine Learning, 2006,
    section 1.5.1 (one minus the misclassification rate).
    """

    def compute(self, prediction: Prediction, target: Tensor) -> Tensor:
        return _mean(ops.equal(ops.argmax(self.scores(prediction, target)), target))


class TopKAccuracy(_OfClasses, name="top_k_accuracy"):
    """Share of examples whose right class is among the k most probable ones; formula: mean of
    [number of classes before the label < k]. Of classes that tie the first is before the others, so that
    k = 1 is accuracy. Source: Russakovsky et al., ImageNet challenge, 2015, section 4.1.
    """

    k: int = Field(default=5, gt=0, description="how many classes count")

    def compute(self, prediction: Prediction, target: Tensor) -> Tensor:
        scores = self.scores(prediction, target)
        (classes,) = scores.spec.with_shape(scores.shape[1:]).sizes
        if self.k > classes:
            why, fix = f"k is {self.k}, but there are {classes} classes", f"set k to {classes} or less"
            raise self.misfit("data set", *KEYS, why=why, fix=fix)
        label = ops.expand_dims(target, -1)
        numbers = constant(range(classes))
        its_score = ops.max(
            ops.where(ops.equal(numbers, label), scores, float("-inf")), axis=-1, keepdims=True
        )
        first_of_ties = ops.logical_and(ops.equal(scores, its_score), ops.less(numbers, label))
        before = ops.logical_or(ops.greater(scores, its_score), first_of_ties)
        return _mean(ops.less(ops.sum(ops.cast(before, "int64"), axis=-1), self.k))


class ConfusionMatrix(_OfClasses, name="confusion_matrix"):
    """Counts of examples by right class (row) and found class (column), `(classes, classes)` int64; formula:
    sum over examples of one_hot(label) one_hot(argmax p)^T. Source: Townsend, 1971.
    """

    reduction: ClassVar[Literal["mean", "sum"]] = "sum"

    def compute(self, prediction: Prediction, target: Tensor) -> Tensor:
        scores = self.scores(prediction, target)
        (classes,) = scores.spec.with_shape(scores.shape[1:]).sizes
        right = ops.one_hot(target, classes, dtype="float64")
        found = ops.one_hot(ops.argmax(scores), classes, dtype="float64")
        return ops.cast(ops.matmul(right, found, transpose_a=True), "int64")
