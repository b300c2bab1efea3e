"""sgd: gradient descent on batches, plain or with momentum."""

from __future__ import annotations

from pydantic import Field, model_validator

from dltrain.autodiff.graph import Tensor
from dltrain.errors import ConfigError
from dltrain.optimizers.first_order import FirstOrder, LearningRate, Step
from dltrain.places import Key


class Sgd(FirstOrder, name="sgd"):
    """p <- p - rate * g (Robbins and Monro, 1951).

    With momentum mu: b <- mu * b + g, p <- p - rate * b (Polyak, 1964). With nesterov the last is
    p <- p - rate * (g + mu * b) (Sutskever et al., 2013, equation 7, in the variables of Bengio et al.,
    2013). The rate is applied after the sum, so that a schedule acts at once on all of it.
    """

    learning_rate: LearningRate = Field(default=0.01, kw_only=False)
    momentum: float = Field(default=0.0, ge=0, lt=1, description="how much of the earlier steps goes on")
    nesterov: bool = Field(default=False, description="whether momentum looks ahead")

    @model_validator(mode="after")
    def _has_momentum(self) -> Sgd:
        if self.nesterov and not self.momentum:
            why, fix = "momentum is 0", "set momentum, to 0.9 say"
            raise ConfigError("nesterov needs momentum", where=Key("nesterov"), why=why, fix=fix)
        return self

    def update(self, step: Step) -> Tensor:
        change = step.gradient
        if self.momentum:
            b = step.keep("momentum", self.momentum * step.slot("momentum") + step.gradient)
            change = step.gradient + self.momentum * b if self.nesterov else b
        return step.parameters - step.learning_rate * change
