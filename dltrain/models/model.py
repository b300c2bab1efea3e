"""Model: a description that makes a chain of layers; and the built chain, a function over variables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dltrain.autodiff.graph import Tensor, Updates, Variable, name_scope, source
from dltrain.autodiff.spec import Spec
from dltrain.layers.layer import BuiltLayer, Layer
from dltrain.places import Key
from dltrain.task import Point, Prediction, Target, TaskPart


class Model(TaskPart, kind="model"):
    """What is trained: a chain of layers made for the inputs of a data set, and for its target."""

    @abstractmethod
    def connect(self, inputs: Spec, target: Target, seed: int) -> Sequence[BuiltLayer]:
        """The layers, built one for the output of the other; `build` has entered the name scope.

        The last gives `target.output_shape` for each example: scores, which are taken for what the target
        asks for (`Target.prediction`), unless it ends in softmax or sigmoid itself.
        """

    def build(self, inputs: Spec, target: Target, seed: int) -> BuiltModel:
        """Make the variables, in a name scope with the model's name.

        Arguments:
            inputs: spec of the batches to come, float, such as `("batch", 28, 28)`.
            target: what the data set asks for.
            seed: of random initial values: each a function of the seed and the variable's name.

        Raises:
            ConfigError: the model does not fit the data set; the message names both keys.
            GraphError: a layer does not take its inputs; the message names the layer's key.
        """
        self.check_target(target, Key("model"))
        with source(Key("model")), name_scope(self.component_name) as scope:
            layers, prediction = _scores(self.connect(inputs, target, seed), target)
        self.check_output(layers[-1].output.shape[1:], prediction, target, layers[-1].key)
        return BuiltModel(scope, tuple(layers), prediction)


@dataclass(frozen=True)
class BuiltModel:
    """A model with its variables, to be applied any number of times, to the same variables: once for
    training and once for evaluation, say.

    Attributes:
        scope: full name of the name scope in which the variables were made.
        layers: in the order of their application; the last gives the scores.
        prediction: what is made of them.
    """

    scope: str
    layers: tuple[BuiltLayer, ...]
    prediction: type[Prediction]

    @property
    def variables(self) -> list[Variable]:
        """All variables, each once, the trainable ones and the others."""
        found = [tensor for layer in self.layers for tensor in layer.variables.values()]
        return list(dict.fromkeys(tensor for tensor in found if isinstance(tensor, Variable)))

    def __call__(self, x: Tensor, *, training: bool) -> tuple[Prediction, Updates]:
        """Add the model's nodes to the graph.

        Arguments:
            x: a batch of the spec that the model was built for.
            training: whether dropout is on, and batch_norm uses the batch's own mean and variance.

        Returns:
            the prediction, and the updates of all layers, see `Forward`.
        """
        updates = Updates()
        with x.graph, source(Key("model")), name_scope(self.scope.rpartition("/")[-1]):
            for layer in self.layers:
                forward = layer(x, training=training)
                x, updates = forward.output, updates + forward.updates
            return self.prediction(x), updates


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


def _scores(layers: Sequence[BuiltLayer], target: Target) -> tuple[list[BuiltLayer], type[Prediction]]:
    """The layers less a softmax or sigmoid in which they end, and what their output then means.

    What comes after it may only arrange numbers anew, and of those over which a softmax goes, none.
    """
    numbers = range(len(layers))
    last = next((i for i in reversed(numbers) if not layers[i].layer.keeps_values), numbers[-1])
    layer, activation = layers[last].layer.split()
    if activation.prediction is Point:
        return list(layers), target.prediction
    if not activation.elementwise and layers[last].output.shape[-1] != layers[-1].output.shape[-1]:
        return list(layers), Point
    return [*layers[:last], replace(layers[last], layer=layer), *layers[last + 1 :]], activation.prediction
