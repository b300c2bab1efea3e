"""The nodes without inputs: placeholders and constants, which plain values become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from dltrain.autodiff.dimensions import Dimension
from dltrain.autodiff.graph import Node, Tensor, TensorLike
from dltrain.autodiff.layout import Layout
from dltrain.autodiff.op import Op
from dltrain.autodiff.spec import Array, Spec, as_array, as_dtype, as_shape


@dataclass(frozen=True)
class Placeholder(Op):
    """A value fed to each run."""

    spec: Spec
    is_leaf = True

    def infer(self) -> Spec:
        return self.spec


@dataclass(frozen=True, eq=False)
class Constant(Op):
    """A value fixed in the graph."""

    value: Array
    is_leaf = True

    @property
    def constant(self) -> Array:
        return self.value

    def infer(self) -> Spec:
        return Spec(self.value.shape, self.value.dtype)

    def compute(self, *, out: Array) -> None:
        out[...] = self.value


class StopGradient(Op):
    """Its input; the reverse walk ends here."""

    is_view = True

    def view(self, x: Layout, shape: tuple[int, ...]) -> Layout:
        return x

    def infer(self, x: Spec) -> Spec:
        return x

    def compute(self, x: Array, *, out: Array) -> None:
        np.copyto(out, x)

    def simplified(self, node: Any) -> Any:
        return node.inputs[0]

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        return (None,)


def placeholder(dtype: DTypeLike, shape: Sequence[Dimension] = (), name: str = "placeholder") -> Tensor:
    """A tensor whose value each run is fed.

    Arguments:
        dtype: for example "float32".
        shape: sizes, or names that a run binds: `("batch", 784)`.
        name: default "placeholder".
    """
    return Placeholder(Spec(as_shape(shape), as_dtype(dtype)))(name=name)


def constant(value: TensorLike, dtype: DTypeLike | None = None, name: str = "constant") -> Tensor:
    """A tensor with a fixed value; Python's floats become float32, its integers int64."""
    array = as_array(value, dtype).copy()
    array.flags.writeable = False
    return Constant(array)(name=name)


def as_tensor(value: TensorLike, dtype: DTypeLike | None = None) -> Tensor:
    """The tensor itself, or a constant of the value."""
    return value if isinstance(value, Tensor) else constant(value, dtype)
