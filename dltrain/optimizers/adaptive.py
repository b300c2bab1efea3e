"""rmsprop, adagrad, adadelta: steps divided by the size that a number's gradients have had."""

from __future__ import annotations

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.optimizers.optimizer import LearningRate, Optimizer, Step


class RmsProp(Optimizer, name="rmsprop"):
    """v <- d v + (1 - d) g^2; p <- p - rate * g / (sqrt(v) + epsilon)
    (Tieleman and Hinton, 2012, lecture 6e).

    centered: sqrt(v - a^2) with a <- d a + (1 - d) g, the gradient's standard deviation (Graves, 2013,
    equations 38 to 41). momentum mu: b <- mu * b + g / (...), p <- p - rate * b. v, a and b start at 0;
    epsilon is outside of the root.
    """

    learning_rate: LearningRate = Field(default=0.001, kw_only=False)
    decay: float = Field(default=0.9, ge=0, lt=1, description="how much of the averages each step keeps")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="how much of the earlier steps goes on")
    centered: bool = Field(default=False, description="whether to divide by the standard deviation instead")
    epsilon: float = Field(default=1e-8, gt=0, description="added to the root, so that it is never 0")

    def update(self, step: Step) -> Tensor:
        g = step.gradient
        variance = step.average("square", ops.square(g), self.decay)
        if self.centered:
            mean = step.average("mean", g, self.decay)
            variance = ops.maximum(variance - ops.square(mean), 0)  # below 0 by rounding
        change = g / (ops.sqrt(variance) + self.epsilon)
        if self.momentum:
            change = step.keep("momentum", self.momentum * step.slot("momentum") + change)
        return step.parameters - step.learning_rate * change


class Adagrad(Optimizer, name="adagrad"):
    """s <- s + g^2; p <- p - rate * g / (sqrt(s) + epsilon) (Duchi et al., 2011, with diagonal matrices).

    s starts at 0; epsilon is outside of the root.
    """

    learning_rate: LearningRate = Field(default=0.01, kw_only=False)
    epsilon: float = Field(default=1e-10, gt=0, description="added to the root, so that it is never 0")

    def update(self, step: Step) -> Tensor:
        g = step.gradient
        square = step.keep("square", step.slot("square") + ops.square(g))
        return step.parameters - step.learning_rate * (g / (ops.sqrt(square) + self.epsilon))


class Adadelta(Optimizer, name="adadelta"):
    """v <- d v + (1 - d) g^2; u = sqrt(w + epsilon) / sqrt(v + epsilon) * g; w <- d w + (1 - d) u^2;
    p <- p - rate * u (Zeiler, 2012, algorithm 1, where rate is 1).

    v and w start at 0; epsilon is inside of the roots.
    """

    learning_rate: LearningRate = Field(default=1.0, kw_only=False)
    decay: float = Field(default=0.95, ge=0, lt=1, description="how much of the averages each step keeps")
    epsilon: float = Field(default=1e-6, gt=0, description="added inside of the roots")

    def update(self, step: Step) -> Tensor:
        v = step.average("square", ops.square(step.gradient), self.decay)
        w = step.average_before("change", self.decay)
        change = ops.sqrt(w + self.epsilon) / ops.sqrt(v + self.epsilon) * step.gradient
        step.average("change", ops.square(change), self.decay)
        return step.parameters - step.learning_rate * change
