"""sequential: a list of layers, written out."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from dltrain.autodiff.spec import Spec
from dltrain.layers.activations import Sigmoid, Softmax
from dltrain.layers.dense import Activation
from dltrain.layers.layer import BuiltLayer, Layer
from dltrain.models.model import Model, chain
from dltrain.places import Key


class Sequential(Model, name="sequential"):
    """y = l_n(... l_2(l_1(x))): the layers, one after the other; source: function composition.

    For a data set with labels the last layer gives one number a class, and a softmax is added unless the
    list ends in one. For one whose target is the input, the output has the shape of the input.
    """

    layers: tuple[Layer, ...] = Field(min_length=1, description="the layers, from the input to the output")

    def connect(self, inputs: Spec, classes: int | None, seed: int) -> Sequence[BuiltLayer]:
        keys = [Key("model", "layers", i) for i in range(len(self.layers))]
        built = chain(zip(self.layers, keys, strict=True), inputs, seed)
        found = list(built[-1].output.shape[1:])
        wanted = list(inputs.shape[1:] if classes is None else (classes,))
        if found != wanted:
            if classes is None:
                but, fix = f"the target, the input, is {wanted}", f"end in a reshape to {wanted}"
            else:
                but, fix = f"there are {classes} classes", f"end in {classes} units"
            why = f"the last layer's output is {found} an example, but {but}"
            raise self.misfit("data set", keys[-1], Key("dataset", "target"), why=why, fix=fix)
        return built if classes is None else [*built, *self._softmax(built[-1].output, seed)]

    def _softmax(self, output: Spec, seed: int) -> list[BuiltLayer]:
        """The softmax that the list does not end in."""
        numbers = range(len(self.layers))
        last = next((i for i in reversed(numbers) if not self.layers[i].keeps_values), numbers[-1])
        key = Key("model", "layers", last)
        match self.layers[last].final_activation:
            case Softmax():
                return []
            case Sigmoid():
                why = "the model ends in sigmoid, but the target is the label, one of several classes"
                raise self.misfit("data set", key, Key("dataset", "target"), why=why, fix="end in softmax")
        return chain([(Activation(function=Softmax()), key)], output, seed)
