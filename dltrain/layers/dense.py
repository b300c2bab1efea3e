"""dense and activation: weighted sums, and a nonlinear function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field

from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.spec import Spec
from dltrain.errors import GraphError
from dltrain.layers.activations import Activation as ActivationFunction
from dltrain.layers.activations import Linear
from dltrain.layers.initializers import GlorotUniform, Initializer, Zeros
from dltrain.layers.layer import Forward, Layer, VariableMaker


class Dense(Layer, name="dense"):
    """y = f(x W + b), from (batch, ..., features) to (batch, ..., units) (Rumelhart et al., 1986).

    W is `kernel`, (features, units); b is `bias`, (units,); f is the activation.
    """

    units: int = Field(gt=0, description="size of the output")
    activation: ActivationFunction = Field(default=Linear(), description="function of the sums")
    use_bias: bool = Field(default=True, description="whether to add a bias")
    kernel_initializer: Initializer = Field(default=GlorotUniform(), description="first values of the kernel")
    bias_initializer: Initializer = Field(default=Zeros(), description="first values of the bias")

    def split(self) -> tuple[Self, ActivationFunction]:
        return self.model_copy(update={"activation": Linear()}), self.activation

    def output(self, inputs: Spec) -> Spec:
        if inputs.rank < 2:
            raise GraphError("dense needs inputs of shape (batch, ..., features)", why=f"they are {inputs}")
        return inputs.with_shape((*inputs.shape[:-1], self.units))

    def variables(self, inputs: Spec, make: VariableMaker) -> Mapping[str, Tensor]:
        (features,) = inputs.with_shape(inputs.shape[-1:]).sizes
        kernel = {"kernel": make("kernel", (features, self.units), self.kernel_initializer)}
        return kernel | self.bias(make)

    def bias(self, make: VariableMaker) -> dict[str, Tensor]:
        """The bias alone, or nothing: what a layer that shares another's kernel has of its own."""
        return {"bias": make("bias", (self.units,), self.bias_initializer)} if self.use_bias else {}

    def apply(self, x: Tensor, variables: Mapping[str, Tensor], *, training: bool) -> Forward:
        sums = x @ variables["kernel"]
        return Forward(self.activation(sums + variables["bias"] if self.use_bias else sums))


class Activation(Layer, name="activation"):
    """y = f(x): an activation on its own, for example after a normalization; sources: see each function."""

    function: ActivationFunction = Field(description="the function, such as relu")

    def split(self) -> tuple[Self, ActivationFunction]:
        return self.model_copy(update={"function": Linear()}), self.function

    def apply(self, x: Tensor, variables: Mapping[str, Tensor], *, training: bool) -> Forward:
        return Forward(self.function(x))
