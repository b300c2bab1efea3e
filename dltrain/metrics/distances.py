"""mse and mae: how far the output is from a target of the same shape."""

from __future__ import annotations

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.metrics.metric import Metric, Prediction


class _OfNumbers(Metric):
    """A metric of a target in the shape of the output."""

    def difference(self, prediction: Prediction, target: Tensor) -> Tensor:
        """
        Raises:
            ConfigError: the target is not of floats in the shape of the output.
        """
        if target.spec != prediction.output.spec:
            raise self.misfit(
                f"the target is {target.spec}, the model's output {prediction.output.spec}",
                "set dataset.target to input, or use accuracy",
            )
        return prediction.output - target


def _mean(x: Tensor) -> Tensor:
    """The mean, over the examples in float64 so that batches combine exactly."""
    per_example = ops.mean(x, axis=range(1, x.spec.rank)) if x.spec.rank > 1 else x
    return ops.mean(ops.cast(per_example, "float64"))


class Mse(_OfNumbers, name="mse"):
    """Mean squared error: mean of (y - t)^2 over examples and features (Gauss, 1809)."""

    def compute(self, prediction: Prediction, target: Tensor) -> Tensor:
        return _mean(ops.square(self.difference(prediction, target)))


class Mae(_OfNumbers, name="mae"):
    """Mean absolute error: mean of |y - t| over examples and features (Laplace, 1774)."""

    def compute(self, prediction: Prediction, target: Tensor) -> Tensor:
        return _mean(ops.abs(self.difference(prediction, target)))
