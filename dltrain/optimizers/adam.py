"""adam, adamw, nadam: momentum divided by the size that a number's gradients have had.

The moments are kept as sums, M = m / (1 - beta1) and V = v / (1 - beta2): M <- beta1 M + g and
V <- beta2 V + g^2 take one operation less for each number than averages. All factors of the formula that
are one number a step (the learning rate, 1 - beta1, 1 - beta2, the bias corrections) go into two scalars:
with c = sqrt((1 - beta2^t) / (1 - beta2)),

    m' / (sqrt(v') + epsilon) = M (1 - beta1) / (1 - beta1^t) * c / (sqrt(V) + epsilon c)

where m' = m / (1 - beta1^t) and v' = v / (1 - beta2^t). The same results, to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.optimizers.optimizer import Optimizer, Step


class Adam(Optimizer, name="adam"):
    """m <- beta1 m + (1 - beta1) g; v <- beta2 v + (1 - beta2) g^2;
    p <- p - rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
    (Kingma and Ba, 2015, algorithm 1).

    m and v start at 0; epsilon is outside of the root. Slots: m / (1 - beta1) and v / (1 - beta2).
    """

    foreign_keys = {
        "betas": "beta1 and beta2",
        "beta_1": "beta1",
        "beta_2": "beta2",
        "b1": "beta1",
        "b2": "beta2",
        "eps": "epsilon",
        "momentum": "beta1",
    }

    learning_rate: float = Field(0.001, gt=0, description="size of a step, before the schedule's factor")
    beta1: float = Field(0.9, ge=0, lt=1, description="how much of the gradients' average each step keeps")
    beta2: float = Field(0.999, ge=0, lt=1, description="how much of the squares' average each step keeps")
    epsilon: float = Field(1e-8, gt=0, description="added to the root, so that it is never 0")

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("m", "v")

    def update(self, step: Step) -> tuple[Tensor, Mapping[str, Tensor]]:
        new = {
            "m": self.beta1 * step.slots["m"] + step.gradient,
            "v": self.beta2 * step.slots["v"] + ops.square(step.gradient),
        }
        t = step.count
        c = ops.sqrt((1 - ops.power(self.beta2, t)) / (1 - self.beta2))
        rate = step.learning_rate * c * (1 - self.beta1)
        root = ops.sqrt(new["v"]) + step.scalar(self.epsilon * c)
        return self.decayed(step) - self.direction(step, new["m"], rate) / root, new

    def direction(self, step: Step, m: Tensor, rate: Tensor) -> Tensor:
        """What is divided by the root: the corrected first moment, times the rate."""
        return step.scalar(rate / (1 - ops.power(self.beta1, step.count))) * m

    def decayed(self, step: Step) -> Tensor:
        """The parameters after weight decay, of which adam has none."""
        return step.parameters


class AdamW(Adam, name="adamw"):
    """adam with p <- p - rate * weight_decay * p beside its own step: decoupled weight decay (Loshchilov and
    Hutter, 2019, algorithm 2, whose schedule multiplier times alpha is `rate` here).

    Only kernels (variables of rank 2 or more) decay; biases and the gamma and beta of normalizations don't.
    """

    foreign_keys = {"decay": "weight_decay", "wd": "weight_decay", "l2": "weight_decay"}

    weight_decay: float = Field(0.01, ge=0, description="share of a kernel that decays, times learning_rate")

    def decayed(self, step: Step) -> Tensor:
        if not self.weight_decay:
            return step.parameters
        share = step.scalar(step.learning_rate * self.weight_decay)
        return step.parameters - share * (step.kernels() * step.parameters)


class Nadam(Adam, name="nadam"):
    """adam with Nesterov's look-ahead: in place of m / (1 - beta1^t) there is
    beta1 m / (1 - beta1^(t + 1)) + (1 - beta1) g / (1 - beta1^t)
    (Dozat, 2016, algorithm 2, with a constant mu).
    """

    def direction(self, step: Step, m: Tensor, rate: Tensor) -> Tensor:
        t = step.count
        ahead = step.scalar(rate * self.beta1 / (1 - ops.power(self.beta1, t + 1)))
        now = step.scalar(rate / (1 - ops.power(self.beta1, t)))
        return ahead * m + now * step.gradient
