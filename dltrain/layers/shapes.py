"""flatten and reshape: the same numbers in another shape."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, ClassVar

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.spec import Spec
from dltrain.errors import GraphError
from dltrain.layers.layer import Forward, Layer

Sizes = tuple[Annotated[int, Field(gt=0)], ...]


class _Rearranged(Layer):
    """The same numbers, row by row, in the shape of `output`."""

    keeps_values: ClassVar[bool] = True

    def apply(self, x: Tensor, variables: Mapping[str, Tensor], *, training: bool) -> Forward:
        return Forward(ops.reshape(x, self.output(x.spec).shape))


class Flatten(_Rearranged, name="flatten"):
    """From (batch, m, n) to (batch, m * n), likewise with more axes; formula: y[b, i n + j] = x[b, i, j]."""

    def output(self, inputs: Spec) -> Spec:
        features = prod(inputs.with_shape(inputs.shape[1:]).sizes)
        return inputs.with_shape((inputs.shape[0], features))


class Reshape(_Rearranged, name="reshape"):
    """From (batch, ...) to (batch, *shape), row by row; formula: flatten(y) = flatten(x)."""

    shape: Sizes = Field(description="shape of one example's output")

    def output(self, inputs: Spec) -> Spec:
        before = inputs.with_shape(inputs.shape[1:]).sizes
        if prod(before) != prod(self.shape):
            raise GraphError(
                f"reshape cannot make {list(self.shape)} of {list(before)}",
                why=f"{prod(before)} numbers an example do not become {prod(self.shape)}",
                fix="give a shape with as many",
            )
        return inputs.with_shape((inputs.shape[0], *self.shape))
