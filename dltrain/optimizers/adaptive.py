"""adam, adamw, nadam, rmsprop, adagrad, adadelta: steps divided by the size that gradients have had."""

from __future__ import annotations

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.optimizers.first_order import FirstOrder, LearningRate, Step


class Adam(FirstOrder, name="adam"):
    """m <- beta1 m + (1 - beta1) g; v <- beta2 v + (1 - beta2) g^2; m' = m / (1 - beta1^t);
    v' = v / (1 - beta2^t); p <- p - rate * m' / (sqrt(v') + epsilon) (Kingma and Ba, 2015, algorithm 1).

    m and v start at 0; epsilon is outside of the root.
    """

    learning_rate: LearningRate = Field(default=0.001, kw_only=False)
    beta1: float = Field(default=0.9, ge=0, lt=1, description="share of the gradients' average a step keeps")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="share of the squares' average a step keeps")
    epsilon: float = Field(default=1e-8, gt=0, description="added to the root, so that it is never 0")

    def update(self, step: Step) -> Tensor:
        m = step.average("m", step.gradient, self.beta1)
        v = step.average("v", ops.square(step.gradient), self.beta2)
        v_hat = v / _correction(self.beta2, step)
        change = step.learning_rate * self.first_moment(m, step) / (ops.sqrt(v_hat) + self.epsilon)
        return self.decayed(step) - change

    def first_moment(self, m: Tensor, step: Step) -> Tensor:
        """m', the corrected first moment."""
        return m / _correction(self.beta1, step)

    def decayed(self, step: Step) -> Tensor:
        """The parameters after weight decay, of which adam has none."""
        return step.parameters


def _correction(beta: float, step: Step, ahead: int = 0) -> Tensor:
    """1 - beta^(t + ahead): by how much an average that began at 0 is too small."""
    return step.scalar(1 - ops.power(beta, step.count + ahead))


class AdamW(Adam, name="adamw"):
    """adam with p <- p - rate * weight_decay * p beside its own step: decoupled weight decay (Loshchilov and
    Hutter, 2019, algorithm 2, whose schedule multiplier times alpha is `rate` here).

    Only weights (variables of rank 2 or more) decay; biases and the gamma and beta of normalizations don't.
    """

    weight_decay: float = Field(default=0.01, ge=0, description="share of a weight lost, times learning_rate")

    def decayed(self, step: Step) -> Tensor:
        if not self.weight_decay:
            return step.parameters
        return step.parameters - step.learning_rate * self.weight_decay * (step.weights() * step.parameters)


class Nadam(Adam, name="nadam"):
    """adam with Nesterov's look-ahead: in place of m / (1 - beta1^t) there is
    beta1 m / (1 - beta1^(t + 1)) + (1 - beta1) g / (1 - beta1^t)
    (Dozat, 2016, algorithm 2, with a constant mu).
    """

    def first_moment(self, m: Tensor, step: Step) -> Tensor:
        ahead = self.beta1 * m / _correction(self.beta1, step, ahead=1)
        return ahead + (1 - self.beta1) * step.gradient / _correction(self.beta1, step)


class RmsProp(FirstOrder, name="rmsprop"):
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


class Adagrad(FirstOrder, name="adagrad"):
    """s <- s + g^2; p <- p - rate * g / (sqrt(s) + epsilon) (Duchi et al., 2011, with diagonal matrices).

    s starts at 0; epsilon is outside of the root.
    """

    learning_rate: LearningRate = Field(default=0.01, kw_only=False)
    epsilon: float = Field(default=1e-10, gt=0, description="added to the root, so that it is never 0")

    def update(self, step: Step) -> Tensor:
        g = step.gradient
        square = step.keep("square", step.slot("square") + ops.square(g))
        return step.parameters - step.learning_rate * (g / (ops.sqrt(square) + self.epsilon))


class Adadelta(FirstOrder, name="adadelta"):
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
