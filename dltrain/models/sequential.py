"""sequential: a list of layers, written out."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from dltrain.autodiff.spec import Spec
from dltrain.layers.layer import BuiltLayer, Layer
from dltrain.models.model import Model, chain
from dltrain.places import Key
from dltrain.task import Target


class Sequential(Model, name="sequential"):
    """y = l_n(... l_2(l_1(x))): the layers, one after the other; source: function composition.

    The last layer gives what the target asks for: one number a class, for a data set with labels, or what is
    in the shape of the target. A softmax for classes, and a sigmoid for labels of yes or no, are added unless
    the list ends in them.
    """

    layers: tuple[Layer, ...] = Field(min_length=1, description="the layers, from the input to the output")

    def connect(self, inputs: Spec, target: Target, seed: int) -> Sequence[BuiltLayer]:
        keys = [Key("model", "layers", i) for i in range(len(self.layers))]
        return chain(zip(self.layers, keys, strict=True), inputs, seed)
