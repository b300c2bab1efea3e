"""cross_entropy and binary_cross_entropy: minus the logarithm of the target's probability."""

from __future__ import annotations

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.costs.cost import Cost, CostOfFeatures, Prediction
from dltrain.places import Key


class CrossEntropy(Cost, name="cross_entropy"):
    """-sum_k t_k log p_k, p = softmax(logits), computed from the logits so that no logarithm of 0 is met.

    t_k is 1 for the example's class, else 0; label smoothing makes it (1 - s) t_k + s / classes (Szegedy et
    al., 2016, section 7). The cost itself: Bridle, 1990; Goodfellow et al., Deep Learning, 2016, 6.2.2.
    """

    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share s spread evenly over classes")

    def per_example(self, prediction: Prediction, target: Tensor) -> Tensor:
        fix = "set the cost to mse, or the model to one that tells classes apart"
        logits = _logits(self, prediction, "softmax", "classes", fix)
        classes = logits.spec.with_shape(logits.shape[-1:]).sizes[0]
        labels = not target.spec.is_float
        if target.shape != (logits.shape[:-1] if labels else logits.shape):
            why = f"the target is {target.spec}, the model's output {prediction.output.spec}"
            fix = "set dataset.target to label"
            raise self.misfit("data set", Key("cost"), Key("dataset", "target"), why=why, fix=fix)
        if not self.label_smoothing:
            return ops.softmax_cross_entropy(logits, target)
        certain = ops.one_hot(target, classes, dtype=logits.dtype) if labels else target
        smooth = (1 - self.label_smoothing) * certain + self.label_smoothing / classes
        return ops.softmax_cross_entropy(logits, smooth)


class BinaryCrossEntropy(CostOfFeatures, name="binary_cross_entropy"):
    """-t log p - (1 - t) log(1 - p), p = sigmoid(logit), mean over the features; computed from the logits so
    that no logarithm of 0 is met. t in [0, 1] (Goodfellow et al., Deep Learning, 2016, section 6.2.2.2).
    """

    def per_feature(self, prediction: Prediction, target: Tensor) -> Tensor:
        fix = "end the model in sigmoid (autoencoder: output_activation), or set the cost to mse"
        return ops.sigmoid_cross_entropy(_logits(self, prediction, "sigmoid", "features", fix), target)


def _logits(cost: Cost, prediction: Prediction, activation: str, of: str, fix: str) -> Tensor:
    """What a model has given to its last function. Raises ConfigError unless that is `activation`."""
    if prediction.logits is None or prediction.output_activation != activation:
        why = f"the cost needs probabilities of {of}, but the model does not end in {activation}"
        raise cost.misfit("model", Key("cost"), Key("model"), why=why, fix=fix)
    return prediction.logits
