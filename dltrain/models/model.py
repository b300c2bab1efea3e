"""Model: a description that makes a chain of layers; and the built chain, a function over variables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dltrain.autodiff.graph import Tensor, Updates, Variable, name_scope, source
from dltrain.autodiff.spec import Spec
from dltrain.config import Component
from dltrain.layers.layer import BuiltLayer, Forward, Layer
from dltrain.places import Key


class Model(Component, kind="model"):
    """What is trained: a chain of layers made for the shape of a data set's inputs and its classes."""

    @abstractmethod
    def connect(self, inputs: Spec, classes: int | None, seed: int) -> Sequence[BuiltLayer]:
        """The layers, built one for the output of the other; `build` has entered the name scope."""

    def build(self, inputs: Spec, classes: int | None, seed: int) -> BuiltModel:
        """Make the variables, in a name scope with the model's name.

        Arguments:
            inputs: spec of the batches to come, float, such as `("batch", 28, 28)`.
            classes: number of classes to tell apart; None when the target is the input itself.
            seed: of random initial values: each a function of the seed and the variable's name.

        Raises:
            ConfigError: the model does not fit the data set; the message names both keys.
            GraphError: a layer does not take its inputs; the message names the layer's key.
        """
        with source(Key("model")), name_scope(self.component_name) as scope:
            layers = self.connect(inputs, classes, seed)
        return BuiltModel(scope, tuple(layers))

    def labelled(self, classes: int | None) -> int:
        """The number of classes, for a model that tells classes apart.

        Raises:
            ConfigError: the data set has none.
        """
        if classes is None:
            why = "the model tells classes apart, but the target is the input"
            fix = "set dataset.target to label, or the model to autoencoder"
            raise self.misfit("data set", Key("model"), Key("dataset", "target"), why=why, fix=fix)
        return classes


@dataclass(frozen=True)
class BuiltModel:
    """A model with its variables, to be applied any number of times, to the same variables: once for
    training and once for evaluation, say.

    Attributes:
        scope: full name of the name scope in which the variables were made.
        layers: in the order of their application.
    """

    scope: str
    layers: tuple[BuiltLayer, ...]

    @property
    def output(self) -> Spec:
        """Spec of `Forward.output`."""
        return self.layers[-1].output

    @property
    def variables(self) -> list[Variable]:
        """All variables, each once, the trainable ones and the others."""
        found = [tensor for layer in self.layers for tensor in layer.variables.values()]
        return list(dict.fromkeys(tensor for tensor in found if isinstance(tensor, Variable)))

    def __call__(self, x: Tensor, *, training: bool) -> Forward:
        """Add the model's nodes to the graph.

        Arguments:
            x: a batch of the spec that the model was built for.
            training: whether dropout is on, and batch_norm uses the batch's own mean and variance.
        """
        output, updates = x, Updates(())
        logits, activation = None, None
        with x.graph, source(Key("model")), name_scope(self.scope.rpartition("/")[-1]):
            for layer in self.layers:
                forward = layer(output, training=training)
                output, updates = forward.output, updates + forward.updates
                if not layer.layer.keeps_values:
                    logits, activation = forward.logits, forward.output_activation
                elif logits is not None:
                    logits = layer(logits, training=training).output
        return Forward(output, logits, activation, updates)


def chain(layers: Iterable[tuple[Layer, Key]], inputs: Spec, seed: int) -> list[BuiltLayer]:
    """Build layers, each for the output of the one before.

    Arguments:
        layers: each with its key in the config.
        inputs: spec of the first one's input.
    """
    built: list[BuiltLayer] = []
    for layer, key in layers:
        built.append(layer.build(built[-1].output if built else inputs, seed, key=key))
    return built
