"""lion: steps of one size, in the direction of the momentum's sign."""

from __future__ import annotations

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.optimizers.first_order import FirstOrder, LearningRate, Step


class Lion(FirstOrder, name="lion"):
    """u = sign(beta1 m + (1 - beta1) g); m <- beta2 m + (1 - beta2) g; p <- p - rate * (u + weight_decay * p)
    (Chen et al., Symbolic discovery of optimization algorithms, 2023, program 1).

    m starts at 0. Only weights (variables of rank 2 or more) decay. Good rates are 3 to 10 times smaller than
    adam's, and decays as much larger.
    """

    learning_rate: LearningRate = Field(default=0.0001, kw_only=False)
    beta1: float = Field(default=0.9, ge=0, lt=1, description="how much the momentum weighs in a step")
    beta2: float = Field(default=0.99, ge=0, lt=1, description="how much of the momentum each step keeps")
    weight_decay: float = Field(default=0.0, ge=0, description="share of a weight lost, times learning_rate")

    def update(self, step: Step) -> Tensor:
        p, g = step.parameters, step.gradient
        u = ops.sign(self.beta1 * step.average_before("m", self.beta2) + (1 - self.beta1) * g)
        step.average("m", g, self.beta2)
        if self.weight_decay:
            u = u + self.weight_decay * step.weights() * p
        return p - step.learning_rate * u
