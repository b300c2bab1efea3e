"""Cost: what training makes small, a number an example."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor, Variable, name_scope
from dltrain.config import Component
from dltrain.errors import ConfigError
from dltrain.places import Key, Places


class Prediction(Protocol):
    """What a cost needs to know of a model's output for a batch.

    Attributes:
        output: float, `(batch, ...)`.
        logits: the value before a final softmax or sigmoid, in the shape of `output`, or None.
        output_activation: "softmax" or "sigmoid", the function that made `output` from `logits`, or None.
    """

    @property
    def output(self) -> Tensor: ...
    @property
    def logits(self) -> Tensor | None: ...
    @property
    def output_activation(self) -> str | None: ...


class Cost(Component, kind="cost"):
    """The mean over the examples of a batch of what one example costs; and a penalty on large weights."""

    l2: float = Field(default=0.0, ge=0, description="factor of the penalty on the weights' squares")
    l1: float = Field(default=0.0, ge=0, description="factor of the penalty on the weights' absolute values")

    @abstractmethod
    def per_example(self, prediction: Prediction, target: Tensor) -> Tensor:
        """The cost of each example, `(batch,)`.

        Raises:
            ConfigError: the cost fits neither the model's output nor the data set's target.
        """

    def __call__(self, prediction: Prediction, target: Tensor) -> Tensor:
        """The mean of `per_example`, a scalar, without penalty; see there for errors."""
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

    @abstractmethod
    def per_feature(self, prediction: Prediction, target: Tensor) -> Tensor:
        """The cost of each feature, in the shape of `target`; see `per_example` for errors."""

    def per_example(self, prediction: Prediction, target: Tensor) -> Tensor:
        if not target.spec.is_float:
            why = "the cost compares numbers with numbers, but the target is the label"
            fix = "set the cost to cross_entropy, or dataset.target to input"
            raise self.misfit("data set", Key("cost"), Key("dataset", "target"), why=why, fix=fix)
        if target.spec != prediction.output.spec:
            where = Places(Key("model"), Key("dataset"))
            why = f"the model's output is {prediction.output.spec}, the target {target.spec}"
            raise ConfigError("model and data set do not fit", where=where, why=why)
        costs = self.per_feature(prediction, target)
        return ops.mean(costs, axis=range(1, costs.spec.rank)) if costs.spec.rank > 1 else costs
