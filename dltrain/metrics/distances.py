"""mse, mae and r2: how far the output is from a target of the same shape."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from math import nan
from typing import Any, ClassVar

import numpy as np

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.ops.shape import filled
from dltrain.autodiff.spec import Array
from dltrain.metrics.metric import Mean, Metric
from dltrain.task import FloatTarget, Prediction, Target


class _OfFeatures(Mean):
    """The mean over examples and features of what each gives, for a target in the shape of the output."""

    targets: ClassVar[tuple[type[Target], ...]] = (FloatTarget,)

    @abstractmethod
    def per_feature(self, difference: Tensor) -> Tensor:
        """What each feature gives, from output less target."""

    def each(self, prediction: Prediction, target: Tensor) -> Tensor:
        x = self.per_feature(prediction.value - target)
        return ops.mean(x, axis=range(1, x.spec.rank)) if x.spec.rank > 1 else x


class Mse(_OfFeatures, name="mse"):
    """Mean squared error: mean of (y - t)^2 over examples and features (Gauss, 1809)."""

    def per_feature(self, difference: Tensor) -> Tensor:
        return ops.square(difference)


class Mae(_OfFeatures, name="mae"):
    """Mean absolute error: mean of |y - t| over examples and features (Laplace, 1774)."""

    def per_feature(self, difference: Tensor) -> Tensor:
        return ops.abs(difference)


class R2(Metric, name="r2"):
    """Coefficient of determination, 1 - sum (y - t)^2 / sum (t - mean t)^2, the mean over the features
    (Wright, 1921). Features whose targets are all equal do not count; without others, nan.
    """

    higher_is_better: ClassVar[bool] = True
    targets: ClassVar[tuple[type[Target], ...]] = (FloatTarget,)

    def sums(self, prediction: Prediction, target: Tensor) -> Sequence[Tensor]:
        t = ops.cast(target, "float64")
        error = ops.square(ops.cast(prediction.value, "float64") - t)
        square = ops.square(t)  # exact, of a float32; so are sums of either half of its digits (Dekker 1971)
        spread = square * (2.0**29 + 1)
        high = spread - (spread - square)
        return [ops.sum(x, axis=0) for x in (error, t, high, square - high, filled(1.0, t))]

    def figure(self, *totals: Any) -> float | Array:
        error, *exact = map(np.ravel, totals)
        variation = np.array([_variation(*map(Fraction, numbers)) for numbers in zip(*exact, strict=True)])
        shares = 1 - error[variation > 0] / variation[variation > 0]
        return float(shares.mean()) if shares.size else nan


def _variation(total: Fraction, high: Fraction, low: Fraction, count: Fraction) -> float:
    """sum (t - mean t)^2 = sum t^2 - (sum t)^2 / n, which in floating point would lose all digits of a
    spread that is small beside the mean.
    """
    return float(high + low - total**2 / count)
