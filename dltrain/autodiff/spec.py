"""Spec: what is known of a tensor before it is computed, its shape and dtype; arrays; broadcasting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import index
from typing import Any, SupportsIndex, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dltrain.autodiff.dimensions import Dimension, Product, Shape, bound, listed, names_of
from dltrain.errors import GraphError

Array = NDArray[Any]

DTYPES = tuple(np.dtype(name) for name in ("float32", "float64", "int64", "bool", "uint8"))


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """The dtype, if it is one that tensors can have.

    Raises:
        GraphError: it is none of float32, float64, int64, bool, uint8.
    """
    try:
        found = np.dtype(np.dtype(dtype).type)  # in this machine's byte order
    except TypeError as error:
        raise GraphError(f"unknown dtype {dtype!r}", fix=f"use one of {_names(DTYPES)}") from error
    if found not in DTYPES:
        raise GraphError(f"unsupported dtype {found.name}", fix=f"use one of {_names(DTYPES)}")
    return found


def _names(dtypes: Iterable[np.dtype[Any]]) -> str:
    return ", ".join(dtype.name for dtype in dtypes)


@dataclass(frozen=True, slots=True)
class Spec:
    """Shape and dtype of a tensor. A dimension is a size, a name that a run binds to a size, or a product.

    Arguments:
        shape: for example `("batch", 784)`.
        dtype: one of `DTYPES`.
    """

    shape: Shape
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.dtype.name}{listed(self.shape)}"

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_float(self) -> bool:
        return self.dtype.kind == "f"

    @property
    def names(self) -> list[str]:
        """The names in its dimensions."""
        return list(names_of(self.shape))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape, when every dimension is a size.

        Raises:
            GraphError: a dimension is still a name.
        """
        if not self.is_bound:
            raise GraphError(f"a named dimension of {self} has no size yet")
        return cast("tuple[int, ...]", self.shape)

    def with_shape(self, shape: Iterable[Dimension]) -> Spec:
        return Spec(tuple(shape), self.dtype)

    def with_dtype(self, dtype: DTypeLike) -> Spec:
        return Spec(self.shape, as_dtype(dtype))

    def bind(self, sizes: Mapping[str, int]) -> Spec:
        """The same with each name replaced by its size, where `sizes` has one."""
        if self.is_bound:
            return self
        return self.with_shape(bound(dimension, sizes) for dimension in self.shape)

    @property
    def is_bound(self) -> bool:
        """Whether every dimension is a size."""
        return _INT.issuperset(map(type, self.shape))


_INT = frozenset({int})
LARGEST = 2**62  # no array is as large


def as_array(value: object, dtype: DTypeLike | None = None) -> Array:
    """The value as an array of a dtype that tensors have.

    Raises:
        GraphError: a tensor, ragged, not numeric, or of a dtype that neither tensors nor wider ones have.
    """
    try:
        array = np.asarray(value)
    except GraphError:
        raise
    except ValueError as error:
        raise GraphError(f"not an array: {error}") from None
    if array.dtype.kind not in "fiubc":
        raise GraphError(f"{type(value).__name__} is neither a tensor nor an array of numbers")
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
    plain = {"f": np.float32, "i": np.int64, "b": np.bool_}.get(array.dtype.kind, array.dtype)
    return array.astype(as_dtype(plain))


def _is_plain_number(value: object, array: Array, wanted: np.dtype[Any]) -> bool:
    """Python's whole numbers may become uint8 where they fit."""
    return (
        array.dtype.kind == "i" and wanted.kind == "u" and bool((array >= 0).all() and (array <= 255).all())
    )


def as_shape(shape: Iterable[Dimension]) -> Shape:
    """The shape, checked: sizes from 0 up, or names.

    Raises:
        GraphError: a dimension is negative, beyond memory, or neither an integer nor a name of letters,
            digits and _.
    """
    checked: list[Dimension] = []
    for dimension in shape:
        if isinstance(dimension, Product):
            checked.append(dimension)
        elif isinstance(dimension, str) and dimension.isidentifier():
            checked.append(str(dimension))
        elif (
            isinstance(dimension, int | np.integer)
            and not isinstance(dimension, bool)
            and 0 <= dimension < LARGEST
        ):
            checked.append(int(dimension))
        else:
            fix = 'give a size from 0 up, or a name such as "batch" for what each run decides'
            raise GraphError(f"not a dimension: {dimension!r}", fix=fix)
    return tuple(checked)


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that all broadcast to, by NumPy's rule; a name matches itself and 1.

    Raises:
        GraphError: two dimensions differ and neither is 1.
    """
    result: list[Dimension] = []
    for position in range(1, max(map(len, shapes), default=0) + 1):
        dimension: Dimension = 1
        for shape in shapes:
            other = shape[-position] if position <= len(shape) else 1
            if dimension == 1:
                dimension = other
            elif other not in (1, dimension):
                both = " and ".join(map(listed, shapes))
                raise GraphError(f"shapes {both} do not broadcast: {dimension} against {other}")
        result.append(dimension)
    return tuple(reversed(result))


def whole(value: SupportsIndex, what: str) -> int:
    """The whole number, Python's or NumPy's.

    Raises:
        GraphError: it is none; the message calls it `what`.
    """
    try:
        return index(value)
    except TypeError:
        raise GraphError(f"{what} is a whole number, not {value!r}") from None


def normalize_axis(axis: int, rank: int) -> int:
    """The axis counted from the front.

    Raises:
        GraphError: it is outside of -rank..rank-1, or no whole number.
    """
    axis = whole(axis, "an axis")
    if not -rank <= axis < rank:
        raise GraphError(f"axis {axis} does not exist in a tensor of rank {rank}")
    return axis % rank


def normalize_axes(axes: int | Iterable[int] | None, rank: int) -> tuple[int, ...]:
    """The axes counted from the front, sorted; None means all.

    Raises:
        GraphError: one does not exist or is given twice.
    """
    if axes is None:
        return tuple(range(rank))
    given = list(axes) if isinstance(axes, Iterable) else [axes]
    normal = sorted(normalize_axis(axis, rank) for axis in given)
    if len(set(normal)) != len(normal):
        raise GraphError(f"axes {given} name one axis twice in a tensor of rank {rank}")
    return tuple(normal)
