"""Cost: what training makes small, a number an example."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor, Variable, name_scope
from dltrain.task import FloatTarget, Prediction, Target, TaskPart


class Cost(TaskPart, kind="cost"):
    """The mean over the examples of a batch of what one example costs; and a penalty on large weights."""

    l2: float = Field(default=0.0, ge=0, description="factor of the penalty on the weights' squares")
    l1: float = Field(default=0.0, ge=0, description="factor of the penalty on the weights' absolute values")

    @abstractmethod
    def per_example(self, prediction: Prediction, target: Tensor) -> Tensor:
        """The cost of each example, `(batch,)`.

        Arguments:
            prediction: one of `predictions`.
            target: `(batch, ...)`, of one of `targets`.
        """

    def __call__(self, prediction: Prediction, target: Tensor) -> Tensor:
        """The mean of `per_example`, a scalar, without penalty."""
        with target.graph, name_scope(self.component_name):
            return ops.mean(self.per_example(prediction, target))

    def penalty(self, variables: Sequence[Variable]) -> Tensor | None:
        """l2 * sum(w^2) / 2 + l1 * sum(|w|) over all weights (`Variable.is_weight`), a scalar;
        None where there is nothing to add.

        With this half the gradient of the first term is l2 * w, the weight decay of sgd (Goodfellow et al.,
        Deep Learning, 2016, equations 7.2 and 7.19).
        """
        weights = [variable for variable in variables if variable.is_weight]
        if not weights or not (self.l1 or self.l2):
            return None
        with weights[0].graph, name_scope("penalty"):
            terms = [self.l2 / 2 * ops.sum(ops.square(weight)) for weight in weights if self.l2]
            terms += [self.l1 * ops.sum(ops.abs(weight)) for weight in weights if self.l1]
            return sum(terms[1:], terms[0])


class CostOfFeatures(Cost):
    """The mean over the features of what each costs, for a target in the shape of the output."""

    targets: ClassVar[tuple[type[Target], ...]] = (FloatTarget,)

    @abstractmethod
    def per_feature(self, prediction: Prediction, target: Tensor) -> Tensor:
        """The cost of each feature, in the shape of `target`."""

    def per_example(self, prediction: Prediction, target: Tensor) -> Tensor:
        return mean_of_features(self.per_feature(prediction, target))


def mean_of_features(x: Tensor) -> Tensor:
    """The mean of each example, `(batch,)`, of `(batch, ...)`."""
    return ops.mean(x, axis=range(1, x.spec.rank)) if x.spec.rank > 1 else x
