"""autoencoder: reconstructs its input from a short code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import name_scope, source
from dltrain.autodiff.spec import Spec
from dltrain.errors import ConfigError
from dltrain.layers.activations import Activation, Relu, Sigmoid
from dltrain.layers.dense import Dense
from dltrain.layers.initializers import GlorotUniform, Initializer, Zeros
from dltrain.layers.layer import BuiltLayer, VariableMaker
from dltrain.layers.shapes import Flatten, Reshape
from dltrain.models.model import BuiltModel, Model, chain
from dltrain.places import Key, Places


class Autoencoder(Model, name="autoencoder"):
    """Dense layers down to a code, then mirrored ones up to the input's shape (Hinton and Salakhutdinov,
    2006): h_i = f(h_(i-1) W_i + b_i) in both halves, the last layer with `output_activation` in place of f.

    With `tied_weights` the decoder's kernels are the encoder's, transposed; its biases are its own
    (Vincent et al., 2010, section 2.2).
    """

    encoder: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        min_length=1, description="sizes of the encoder's layers; the last is the size of the code"
    )
    activation: Activation = Field(
        default=Relu(), description="function of all layers' sums but the last one's"
    )
    output_activation: Activation = Field(default=Sigmoid(), description="function of the last layer's sums")
    tied_weights: bool = Field(
        default=False, description="whether the decoder uses the encoder's kernels, transposed"
    )
    kernel_initializer: Initializer = Field(
        default=GlorotUniform(), description="first values of all kernels"
    )
    bias_initializer: Initializer = Field(default=Zeros(), description="first values of all biases")

    def build(self, inputs: Spec, classes: int | None, seed: int) -> BuiltModel:
        built = super().build(inputs, classes, seed)
        return BuiltModel(built.scope, built.layers, code_layers=1 + len(self.encoder))

    def connect(self, inputs: Spec, classes: int | None, seed: int) -> Sequence[BuiltLayer]:
        if classes is not None:
            raise ConfigError(
                "model autoencoder and data set do not fit",
                where=Places(Key("model"), Key("dataset", "target")),
                why="the model reconstructs its input, but the target is the label",
                fix="set dataset.target to input, or the model to mlp",
            )
        shape = inputs.with_shape(inputs.shape[1:]).sizes
        flatten = Flatten().build(inputs, seed, key=Key("model"))
        with name_scope("encoder"):
            layers = [
                (self._dense(units, self.activation), Key("model", "encoder", i))
                for i, units in enumerate(self.encoder)
            ]
            encoder = chain(layers, flatten.output, seed)
        with name_scope("decoder"):
            decoder = self._decoder(flatten.output, encoder, seed)
        reshape = Reshape(shape=shape).build(decoder[-1].output, seed, key=Key("model"))
        return [flatten, *encoder, *decoder, reshape]

    def _decoder(self, flat: Spec, encoder: Sequence[BuiltLayer], seed: int) -> list[BuiltLayer]:
        (features,) = flat.with_shape(flat.shape[1:]).sizes
        sizes = (features, *self.encoder[:-1])
        decoder: list[BuiltLayer] = []
        for i in reversed(range(len(encoder))):
            dense = self._dense(sizes[i], self.output_activation if i == 0 else self.activation)
            if self.tied_weights:
                decoder.append(_transposed(encoder[i], dense, seed))
            else:
                inputs = decoder[-1].output if decoder else encoder[-1].output
                decoder.append(dense.build(inputs, seed, key=encoder[i].key))
        return decoder

    def _dense(self, units: int, activation: Activation) -> Dense:
        return Dense(
            units=units,
            activation=activation,
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
        )


def _transposed(encoder: BuiltLayer, dense: Dense, seed: int) -> BuiltLayer:
    """The layer `dense` with the transposed kernel of an encoder's layer and a bias of its own."""
    with source(encoder.key), name_scope("dense") as scope:
        kernel = ops.transpose(encoder.variables["kernel"])
        bias = dense.bias(VariableMaker(scope, seed, encoder.output))
    return BuiltLayer(dense, {"kernel": kernel, **bias}, dense.output(encoder.output), scope, encoder.key)
