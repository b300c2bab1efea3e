"""layer_norm and batch_norm: inputs brought to mean 0 and variance 1, then scaled and shifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor, Updates, Variable
from dltrain.autodiff.spec import Spec
from dltrain.errors import GraphError
from dltrain.layers.initializers import Constant, Zeros
from dltrain.layers.layer import Forward, Layer, VariableMaker


class _Normalization(Layer):
    """What both have: gamma and beta, one each of the last axis."""

    epsilon: float = Field(default=1e-5, gt=0, description="added to the variance: its root is never 0")

    def output(self, inputs: Spec) -> Spec:
        if inputs.rank < 2:
            what = f"{self.component_name} needs inputs of shape (batch, ..., features)"
            raise GraphError(what, why=f"they are {inputs}")
        return inputs

    def variables(self, inputs: Spec, make: VariableMaker) -> Mapping[str, Tensor]:
        features = inputs.with_shape(inputs.shape[-1:]).sizes
        return {
            "gamma": make("gamma", features, Constant(value=1.0)),
            "beta": make("beta", features, Zeros()),
        }


def _moments(x: Tensor, axis: Sequence[int], keepdims: bool) -> tuple[Tensor, Tensor, Tensor]:
    """x less its mean over `axis`, the mean, and the (biased) variance."""
    mean = ops.mean(x, axis=axis, keepdims=keepdims)
    centered = x - mean
    return centered, mean, ops.mean(ops.square(centered), axis=axis, keepdims=keepdims)


class LayerNorm(_Normalization, name="layer_norm"):
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, mean and variance over the last axis of each
    example (Ba et al., 2016, equation 4). The variance is the biased one.
    """

    def apply(self, x: Tensor, variables: Mapping[str, Tensor], *, training: bool) -> Forward:
        centered, _, variance = _moments(x, axis=[-1], keepdims=True)
        normal = centered / ops.sqrt(variance + self.epsilon)
        return Forward(normal * variables["gamma"] + variables["beta"])


class BatchNorm(_Normalization, name="batch_norm"):
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta (Ioffe and Szegedy, 2015, algorithm 1).

    In training mean and variance are those of the batch, one each of the last axis; a batch of 1 gives
    y = beta. Elsewhere they are moving averages: average <- momentum * average + (1 - momentum) * batch.
    The variance is the biased one in both places (algorithm 2 has the unbiased one in the average, which a
    batch of 1 does not have).
    """

    momentum: float = Field(default=0.9, ge=0, lt=1, description="how much of the averages each step keeps")

    def variables(self, inputs: Spec, make: VariableMaker) -> Mapping[str, Tensor]:
        features = inputs.with_shape(inputs.shape[-1:]).sizes
        averages = {
            "moving_mean": make("moving_mean", features, Zeros(), trainable=False),
            "moving_variance": make("moving_variance", features, Constant(value=1.0), trainable=False),
        }
        return {**super().variables(inputs, make), **averages}

    def apply(self, x: Tensor, variables: Mapping[str, Tensor], *, training: bool) -> Forward:
        if training:
            centered, mean, variance = _moments(x, axis=range(x.spec.rank - 1), keepdims=False)
            updates = [
                self._followed(variables["moving_mean"], mean),
                self._followed(variables["moving_variance"], variance),
            ]
        else:
            centered, variance = x - variables["moving_mean"], variables["moving_variance"]
            updates = []
        scale = variables["gamma"] / ops.sqrt(variance + self.epsilon)
        return Forward(centered * scale + variables["beta"], updates=Updates(updates))

    def _followed(self, average: Tensor, value: Tensor) -> tuple[Variable, Tensor]:
        assert isinstance(average, Variable)
        return average, self.momentum * average + (1 - self.momentum) * value
