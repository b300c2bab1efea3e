"""sgd: gradient descent on batches, plain or with momentum."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from dltrain.autodiff.graph import Tensor
from dltrain.errors import ConfigError
from dltrain.optimizers.optimizer import Optimizer, Step
from dltrain.places import Key


class Sgd(Optimizer, name="sgd"):
    """p <- p - rate * g (Robbins and Monro, 1951).

    With momentum mu: b <- mu * b + g, p <- p - rate * b (Polyak, 1964). With nesterov the last is
    p <- p - rate * (g + mu * b) (Sutskever et al., 2013, equation 7, in the variables of Bengio et al.,
    2013). The rate is applied after the sum, so that a schedule acts at once on all of it.
    """

    learning_rate: float = Field(0.01, gt=0, description="size of a step, before the schedule's factor")
    momentum: float = Field(0.0, ge=0, lt=1, description="how much of the earlier steps goes on")
    nesterov: bool = Field(False, description="whether momentum looks ahead")

    @model_validator(mode="after")
    def _has_momentum(self) -> Sgd:
        if self.nesterov and not self.momentum:
            raise ConfigError(
                "nesterov needs momentum",
                where=Key("nesterov"),
                why="momentum is 0",
                fix="set momentum, to 0.9 say",
            )
        return self

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def update(self, step: Step) -> tuple[Tensor, Mapping[str, Tensor]]:
        p, g, rate = step.parameters, step.gradient, step.scalar(step.learning_rate)
        if not self.momentum:
            return p - rate * g, {}
        b = self.momentum * step.slots["momentum"] + g
        return p - rate * (g + self.momentum * b if self.nesterov else b), {"momentum": b}
