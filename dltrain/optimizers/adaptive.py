"""rmsprop, adagrad, adadelta: steps divided by the size that a number's gradients have had.

A moving average a <- d a + (1 - d) x is kept as the sum s <- d s + x, which is a / (1 - d): one operation
less for each number, and the factor 1 - d goes into the step's scalars. The results are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.optimizers.optimizer import Optimizer, Step


class RmsProp(Optimizer, name="rmsprop"):
    """v <- d v + (1 - d) g^2; p <- p - rate * g / (sqrt(v) + epsilon)
    (Tieleman and Hinton, 2012, lecture 6e).

    centered: sqrt(v - a^2) with a <- d a + (1 - d) g, the gradient's standard deviation (Graves, 2013,
    equations 38 to 41). momentum mu: b <- mu * b + g / (...), p <- p - rate * b. v and a start at 0; epsilon
    is outside of the root. Slots: v / (1 - d), a / (1 - d) and b.
    """

    foreign_keys = {
        "rho": "decay",
        "alpha": "decay",
        "smoothing": "decay",
        "discounting_factor": "decay",
        "eps": "epsilon",
    }

    learning_rate: float = Field(0.001, gt=0, description="size of a step, before the schedule's factor")
    decay: float = Field(0.9, ge=0, lt=1, description="how much of the averages each step keeps")
    momentum: float = Field(0.0, ge=0, lt=1, description="how much of the earlier steps goes on")
    centered: bool = Field(False, description="whether to divide by the standard deviation instead")
    epsilon: float = Field(1e-8, gt=0, description="added to the root, so that it is never 0")

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("square", *["mean"] * self.centered, *["momentum"] * bool(self.momentum))

    def update(self, step: Step) -> tuple[Tensor, Mapping[str, Tensor]]:
        p, g = step.parameters, step.gradient
        fresh = 1 - self.decay
        new = {"square": self.decay * step.slots["square"] + ops.square(g)}
        variance = new["square"]
        if self.centered:
            new["mean"] = self.decay * step.slots["mean"] + g
            variance = ops.maximum(variance - fresh * ops.square(new["mean"]), 0)  # below 0 by rounding
        change = g / (ops.sqrt(variance) + self.epsilon / sqrt(fresh))
        rate = step.scalar(step.learning_rate / sqrt(fresh))
        if self.momentum:
            change = new["momentum"] = self.momentum * step.slots["momentum"] + change
        return p - rate * change, new


class Adagrad(Optimizer, name="adagrad"):
    """s <- s + g^2; p <- p - rate * g / (sqrt(s) + epsilon) (Duchi et al., 2011, with diagonal matrices).

    s starts at 0; epsilon is outside of the root.
    """

    foreign_keys = {"eps": "epsilon"}

    learning_rate: float = Field(0.01, gt=0, description="size of a step, before the schedule's factor")
    epsilon: float = Field(1e-10, gt=0, description="added to the root, so that it is never 0")

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("square",)

    def update(self, step: Step) -> tuple[Tensor, Mapping[str, Tensor]]:
        p, g, rate = step.parameters, step.gradient, step.scalar(step.learning_rate)
        square = step.slots["square"] + ops.square(g)
        return p - rate * (g / (ops.sqrt(square) + self.epsilon)), {"square": square}


class Adadelta(Optimizer, name="adadelta"):
    """v <- d v + (1 - d) g^2; u = sqrt(w + epsilon) / sqrt(v + epsilon) * g; w <- d w + (1 - d) u^2;
    p <- p - rate * u (Zeiler, 2012, algorithm 1, where rate is 1).

    v and w start at 0; epsilon is inside of the roots. Slots: v / (1 - d) and w / (1 - d).
    """

    foreign_keys = {"rho": "decay", "eps": "epsilon"}

    learning_rate: float = Field(1.0, gt=0, description="size of a step, before the schedule's factor")
    decay: float = Field(0.95, ge=0, lt=1, description="how much of the averages each step keeps")
    epsilon: float = Field(1e-6, gt=0, description="added inside of the roots")

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("square", "change")

    def update(self, step: Step) -> tuple[Tensor, Mapping[str, Tensor]]:
        p, g, rate = step.parameters, step.gradient, step.scalar(step.learning_rate)
        epsilon = self.epsilon / (1 - self.decay)
        square = self.decay * step.slots["square"] + ops.square(g)
        change = ops.sqrt((step.slots["change"] + epsilon) / (square + epsilon)) * g
        new_change = self.decay * step.slots["change"] + ops.square(change)
        return p - rate * change, {"square": square, "change": new_change}
