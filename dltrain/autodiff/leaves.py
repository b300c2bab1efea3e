"""The nodes without inputs: placeholders and constants; and how plain values become tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from dltrain.autodiff.graph import Op, Tensor, TensorLike
from dltrain.autodiff.spec import Array, Spec, as_dtype, as_shape
from dltrain.errors import GraphError


@dataclass(frozen=True)
class Placeholder(Op):
    """A value fed to each run."""

    spec: Spec

    def infer(self) -> Spec:
        return self.spec


@dataclass(frozen=True, eq=False)
class Constant(Op):
    """A value fixed in the graph."""

    value: Array

    def infer(self) -> Spec:
        return Spec(self.value.shape, self.value.dtype)

    def compute(self, *, out: Array) -> None:
        out[...] = self.value


@dataclass(frozen=True)
class StopGradient(Op):
    """Its input; the reverse walk ends here."""

    def infer(self, x: Spec) -> Spec:
        return x

    def compute(self, x: Array, *, out: Array) -> None:
        np.copyto(out, x)

    def gradient(self, node: Tensor, upstream: Tensor) -> Sequence[Tensor | None]:
        return (None,)


def placeholder(dtype: DTypeLike, shape: Sequence[int | str] = (), name: str = "placeholder") -> Tensor:
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


def as_array(value: TensorLike, dtype: DTypeLike | None = None) -> Array:
    """The value as an array of a dtype that tensors have.

    Raises:
        GraphError: ragged or not numeric, or a dtype that tensors don't have and that no wider one holds.
    """
    if isinstance(value, Tensor):
        raise GraphError(f"{value!r} is a tensor of the graph where a value is needed", where=value.source)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise GraphError(f"not an array: {error}") from None
    if dtype is not None:
        wanted = as_dtype(dtype)
        if not np.can_cast(array.dtype, wanted, "same_kind") and not _is_plain_number(value, array, wanted):
            raise GraphError(
                f"{array.dtype.name} values do not become {wanted.name} unasked", fix="use cast()"
            )
        return array.astype(wanted, copy=False)
    if isinstance(value, np.ndarray | np.generic):
        if array.dtype.kind in "iu" and array.dtype != np.uint8:
            return array.astype(np.int64)
        return array.astype(as_dtype(array.dtype), copy=False)
    return array.astype({"f": np.float32, "i": np.int64, "b": np.bool_}.get(array.dtype.kind, array.dtype))


def _is_plain_number(value: object, array: Array, wanted: np.dtype[Any]) -> bool:
    """Python's whole numbers may become uint8 where they fit."""
    return (
        array.dtype.kind == "i" and wanted.kind == "u" and bool((array >= 0).all() and (array <= 255).all())
    )
