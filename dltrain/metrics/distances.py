"""mse and mae: how far the output is from a target of the same shape."""

from __future__ import annotations

from abc import abstractmethod

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.metrics.metric import KEYS, Metric, Prediction


class _OfFeatures(Metric):
    """The mean over examples and features of what each gives, for a target in the shape of the output."""

    @abstractmethod
    def per_feature(self, difference: Tensor) -> Tensor:
        """What each feature gives, from output less target."""

    def compute(self, prediction: Prediction, target: Tensor) -> Tensor:
        if target.spec != prediction.output.spec:
            why = f"the target is {target.spec}, the model's output {prediction.output.spec}"
            fix = "set dataset.target to input, or use accuracy"
            raise self.misfit("data set", *KEYS, why=why, fix=fix)
        x = self.per_feature(prediction.output - target)
        per_example = ops.mean(x, axis=range(1, x.spec.rank)) if x.spec.rank > 1 else x
        return ops.mean(ops.cast(per_example, "float64"))  # so that batches combine exactly


class Mse(_OfFeatures, name="mse"):
    """Mean squared error: mean of (y - t)^2 over examples and features (Gauss, 1809)."""

    def per_feature(self, difference: Tensor) -> Tensor:
        return ops.square(difference)


class Mae(_OfFeatures, name="mae"):
    """Mean absolute error: mean of |y - t| over examples and features (Laplace, 1774)."""

    def per_feature(self, difference: Tensor) -> Tensor:
        return ops.abs(difference)
