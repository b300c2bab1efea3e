"""mse, mae and huber: how far the output is from a target of the same shape."""

from __future__ import annotations

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.costs.cost import CostOfFeatures
from dltrain.task import Prediction


class Mse(CostOfFeatures, name="mse"):
    """Mean squared error, mean of (y - t)^2 over the features: of an autoencoder, per pixel (Gauss, 1809)."""

    def per_feature(self, prediction: Prediction, target: Tensor) -> Tensor:
        return ops.square(prediction.value - target)


class Mae(CostOfFeatures, name="mae"):
    """Mean absolute error, mean of |y - t| over the features; its derivative at 0 is taken as 0
    (Laplace, 1774).
    """

    def per_feature(self, prediction: Prediction, target: Tensor) -> Tensor:
        return ops.abs(prediction.value - target)


class Huber(CostOfFeatures, name="huber"):
    """Mean over the features of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), with d = y - t
    (Huber, 1964). Computed as q (|d| - q / 2) with q = min(|d|, delta), which is the same.
    """

    delta: float = Field(default=1.0, gt=0, description="distance from which the cost grows linearly")

    def per_feature(self, prediction: Prediction, target: Tensor) -> Tensor:
        distance = ops.abs(prediction.value - target)
        quadratic = ops.minimum(distance, self.delta)
        return quadratic * (distance - 0.5 * quadratic)
