"""Layer: a description that is its own schema; and what building it gives, a function over variables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import prod
from typing import ClassVar, Self

from dltrain.autodiff.graph import Tensor, Updates, Variable, name_scope, source
from dltrain.autodiff.spec import Spec
from dltrain.config import Component
from dltrain.errors import GraphError
from dltrain.layers.activations import Activation, Linear
from dltrain.layers.initializers import Initializer, generator_for
from dltrain.places import TOP, Key

LARGEST = 2**31  # numbers in one variable; a wrong size is refused before its memory is asked for


@dataclass(frozen=True)
class Forward:
    """What applying a layer to a batch gives.

    Attributes:
        output: float, `(batch, ...)`.
        updates: of variables that follow the data in training (moving averages); commit them with the
            optimizer's.
    """

    output: Tensor
    updates: Updates = field(default_factory=Updates)


@dataclass(frozen=True)
class VariableMaker:
    """Makes the variables of one layer, in its name scope.

    Attributes:
        scope: full name of the layer's name scope.
        seed: with the variable's full name, what random initial values depend on.
        inputs: spec of the layer's inputs, whose dtype the variables get.
    """

    scope: str
    seed: int
    inputs: Spec

    def __call__(
        self, name: str, shape: tuple[int, ...], initializer: Initializer, *, trainable: bool = True
    ) -> Variable:
        """
        Raises:
            GraphError: the shape is absurdly large, or the initializer does not fit it.
        """
        if prod(shape) > LARGEST:
            what, why = f"{name} would have {prod(shape)} numbers", f"its shape is {list(shape)}"
            raise GraphError(what, why=why, fix="make it smaller")
        values = initializer.values(shape, generator_for(self.seed, f"{self.scope}/{name}"))
        return Variable(values, dtype=self.inputs.dtype, trainable=trainable, name=name)


class Layer(Component, kind="layer"):
    """A function of a batch, `(batch, ...)`, and of variables that building makes once.

    A layer is three short functions: `output` (the shape function), `variables`, and `apply`.
    """

    keeps_values: ClassVar[bool] = False
    """Whether the layer only arranges its input anew."""

    def split(self) -> tuple[Self, Activation]:
        """The layer without the activation that it ends in, and that; the default ends in none."""
        return self, Linear()

    def output(self, inputs: Spec) -> Spec:
        """Spec of the output; the default is that of `inputs`.

        Raises:
            GraphError: the layer does not take such inputs.
        """
        return inputs

    def variables(self, inputs: Spec, make: VariableMaker) -> Mapping[str, Tensor]:
        """The variables that `apply` is to be given; the default is none."""
        return {}

    @abstractmethod
    def apply(self, x: Tensor, variables: Mapping[str, Tensor], *, training: bool) -> Forward:
        """The layer's function of `x` and its variables, as graph."""

    def build(self, inputs: Spec, seed: int, *, key: Key = TOP) -> BuiltLayer:
        """Make the variables, in a name scope such as "dense_1".

        Arguments:
            inputs: spec of the batches to come, float, `("batch", ...)`.
            seed: of random initial values.
            key: of the layer in the config, which errors name and nodes have as their source; default none.

        Raises:
            GraphError: the layer does not take such inputs.
        """
        with source(key) if key.path else nullcontext(), name_scope(self.component_name) as scope:
            try:
                if not inputs.is_float or not inputs.rank:
                    raise GraphError(
                        f"{self.component_name} needs a batch of floats", why=f"its inputs are {inputs}"
                    )
                output = self.output(inputs)
                variables = self.variables(inputs, VariableMaker(scope, seed, inputs))
            except GraphError as error:
                error.where = error.where or key
                raise
        return BuiltLayer(self, variables, output, scope, key)


@dataclass(frozen=True)
class BuiltLayer:
    """A layer with its variables: a function to be applied any number of times, to the same variables.

    Attributes:
        layer: the description.
        variables: by their names in the layer.
        output: spec of what it gives.
        scope: full name of the name scope in which the variables were made.
        key: of the layer in the config; `TOP` where it is in none.
    """

    layer: Layer
    variables: Mapping[str, Tensor]
    output: Spec
    scope: str
    key: Key = TOP

    def __call__(self, x: Tensor, *, training: bool) -> Forward:
        """Add the layer's nodes to the graph, in a scope with the last part of the layer's own name."""
        scope = self.scope.rpartition("/")[-1]
        with x.graph, source(self.key) if self.key.path else nullcontext(), name_scope(scope):
            return self.layer.apply(x, self.variables, training=training)
