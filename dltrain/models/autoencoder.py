"""autoencoder: reconstructs its input from a short code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import ClassVar

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import name_scope, source
from dltrain.autodiff.spec import Spec
from dltrain.layers.activations import Activation, Relu, Sigmoid
from dltrain.layers.dense import Dense
from dltrain.layers.initializers import GlorotUniform, Initializer, Zeros
from dltrain.layers.layer import BuiltLayer, VariableMaker
from dltrain.layers.shapes import Flatten, Reshape, Sizes
from dltrain.models.model import Model, chain
from dltrain.places import Key
from dltrain.task import InputTarget, Target


class Autoencoder(Model, name="autoencoder"):
    """Dense layers down to a code, then mirrored ones up to the input's shape (Hinton and Salakhutdinov,
    2006): h_i = f(h_(i-1) W_i + b_i) in both halves, the last layer with `output_activation` in place of f.

    With `tied_weights` the decoder's kernels are the encoder's, transposed; its biases are its own
    (Vincent et al., 2010, section 2.2).
    """

    targets: ClassVar[tuple[type[Target], ...]] = (InputTarget,)

    encoder: Sizes = Field(min_length=1, description="sizes of the encoder's layers; the last is the code's")
    activation: Activation = Field(default=Relu(), description="function of all layers' sums but the last's")
    output_activation: Activation = Field(default=Sigmoid(), description="function of the last layer's sums")
    tied_weights: bool = Field(
        default=False, description="whether the decoder uses the encoder's kernels, transposed"
    )
    kernel_initializer: Initializer = Field(default=GlorotUniform(), description="first values of kernels")
    bias_initializer: Initializer = Field(default=Zeros(), description="first values of biases")

    def connect(self, inputs: Spec, target: Target, seed: int) -> Sequence[BuiltLayer]:
        shape = inputs.with_shape(inputs.shape[1:]).sizes
        flatten = Flatten().build(inputs, seed, key=Key("model"))
        dense = partial(
            Dense, kernel_initializer=self.kernel_initializer, bias_initializer=self.bias_initializer
        )
        keys = [Key("model", "encoder", i) for i in range(len(self.encoder))]
        layers = [dense(units=units, activation=self.activation) for units in self.encoder]
        with name_scope("encoder"):
            encoder = chain(zip(layers, keys, strict=True), flatten.output, seed)
        layers = [dense(units=units, activation=self.activation) for units in self.encoder[-2::-1]]
        layers.append(dense(units=prod(shape), activation=self.output_activation))
        with name_scope("decoder"):
            if self.tied_weights:
                decoder = [_transposed(*pair, seed) for pair in zip(encoder[::-1], layers, strict=True)]
            else:
                decoder = chain(zip(layers, keys[::-1], strict=True), encoder[-1].output, seed)
        reshape = Reshape(shape=shape).build(decoder[-1].output, seed, key=Key("model"))
        return [flatten, *encoder, *decoder, reshape]


def _transposed(encoder: BuiltLayer, dense: Dense, seed: int) -> BuiltLayer:
    """The layer `dense` with the transposed kernel of an encoder's layer and a bias of its own."""
    with source(encoder.key), name_scope("dense") as scope:
        kernel = ops.transpose(encoder.variables["kernel"])
        bias = dense.bias(VariableMaker(scope, seed, encoder.output))
    return BuiltLayer(dense, {"kernel": kernel, **bias}, dense.output(encoder.output), scope, encoder.key)
