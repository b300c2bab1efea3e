"""cross_entropy and binary_cross_entropy: minus the logarithm of the target's probability."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.costs.cost import Cost, CostOfFeatures, mean_of_features
from dltrain.task import Bernoulli, Categorical, ClassTarget, NumbersTarget, Prediction, Target


class CrossEntropy(Cost, name="cross_entropy"):
    """-sum_k t_k log p_k, p = softmax(scores), computed from the scores so that no logarithm of 0 is met; the
    mean over the positions, where there are several.

    t_k is 1 for the right class, else 0, or a distribution over the classes; label smoothing makes it
    (1 - s) t_k + s / classes (Szegedy et al., 2016, section 7). The cost itself: Bridle, 1990; Goodfellow et
    al., Deep Learning, 2016, 6.2.2.
    """

    targets: ClassVar[tuple[type[Target], ...]] = (ClassTarget, NumbersTarget)
    predictions: ClassVar[tuple[type[Prediction], ...]] = (Categorical,)

    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share s spread evenly over classes")

    def per_example(self, prediction: Prediction, target: Tensor) -> Tensor:
        scores = prediction.scores
        if self.label_smoothing:
            (classes,) = scores.spec.with_shape(scores.shape[-1:]).sizes
            certain = target if target.spec.is_float else ops.one_hot(target, classes, dtype=scores.dtype)
            target = (1 - self.label_smoothing) * certain + self.label_smoothing / classes
        return mean_of_features(ops.softmax_cross_entropy(scores, target))


class BinaryCrossEntropy(CostOfFeatures, name="binary_cross_entropy"):
    """-t log p - (1 - t) log(1 - p), p = sigmoid(score), mean over the features; computed from the scores so
    that no logarithm of 0 is met. t in [0, 1] (Goodfellow et al., Deep Learning, 2016, section 6.2.2.2).
    """

    predictions: ClassVar[tuple[type[Prediction], ...]] = (Bernoulli,)

    def per_feature(self, prediction: Prediction, target: Tensor) -> Tensor:
        return ops.sigmoid_cross_entropy(prediction.scores, target)
