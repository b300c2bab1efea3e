"""Triangles and diagonals of matrices `[..., rows, columns]`, whose rows and columns are sizes, not names."""

from __future__ import annotations

import builtins

import numpy as np

from dltrain.autodiff.graph import Tensor, TensorLike
from dltrain.autodiff.leaves import constant
from dltrain.autodiff.ops.bases import Binary, operand
from dltrain.autodiff.ops.logic import equal, greater_equal, less_equal, where
from dltrain.autodiff.ops.shape import expand_dims, reshape
from dltrain.autodiff.ops.slices import slice
from dltrain.autodiff.spec import Array, whole
from dltrain.errors import GraphError

__all__ = ["diag", "diagonal", "tril", "triu"]


def tril(x: TensorLike, k: int = 0, name: str | None = None) -> Tensor:
    """The lower triangle of the matrices `[..., rows, columns]`; what is above is 0.

    Arguments:
        k: the last diagonal that is kept: 0 the main one, 1 that above it, -1 that below it.

    Raises:
        GraphError: x has fewer than two axes, or one of the last two is a named dimension.
    """
    return _triangle(x, less_equal, k, name or "tril")


def triu(x: TensorLike, k: int = 0, name: str | None = None) -> Tensor:
    """The upper triangle; what is below is 0. As `tril`, but k is the first diagonal that is kept."""
    return _triangle(x, greater_equal, k, name or "triu")


def _triangle(x: TensorLike, keeps: Binary, k: int, name: str) -> Tensor:
    tensor = operand(x)
    rows, columns = _places(tensor, 2)
    with tensor.graph:
        return where(keeps(columns, rows[:, None] + whole(k, "k")), tensor, _zero(tensor), name=name)


def diag(x: TensorLike, name: str | None = None) -> Tensor:
    """The square matrices `[..., n, n]` with the vectors `[..., n]` on the diagonal and 0 elsewhere.

    Raises:
        GraphError: x has no axis, or the last one is a named dimension.
    """
    tensor = operand(x)
    (places,) = _places(tensor, 1)
    with tensor.graph:
        on_diagonal = equal(places, places[:, None])
        return where(on_diagonal, expand_dims(tensor, -1), _zero(tensor), name=name or "diag")


def diagonal(x: TensorLike, name: str | None = None) -> Tensor:
    """The main diagonals `[..., min(rows, columns)]` of the matrices `[..., rows, columns]`, a view.

    The sum of a diagonal is the trace.

    Raises:
        GraphError: x has fewer than two axes, or one of the last two is a named dimension.
    """
    tensor = operand(x)
    rows, columns = map(len, _places(tensor, 2))
    numbers = reshape(tensor, (*tensor.shape[:-2], rows * columns))
    step = columns + 1  # from a number of the diagonal to the next
    return slice(numbers, (..., builtins.slice(0, min(rows, columns) * step, step)), name=name or "diagonal")


def _places(x: Tensor, count: int) -> list[Array]:
    """0, 1, ... along each of the last `count` axes.

    Raises:
        GraphError: there are fewer axes, or one of these is a named dimension.
    """
    if x.spec.rank < count:
        what = "a matrix has two axes or more" if count == 2 else "a vector has an axis"
        raise GraphError(what, where=x.graph.names.place(), why=f"{x.name} is {x.spec}")
    places = []
    for size in x.shape[-count:]:
        if not isinstance(size, int):
            raise GraphError(
                f"the dimension {size} has no known diagonal",
                where=x.graph.names.place(),
                why=f"{x.name} is {x.spec}",
                fix="give the last axes sizes",
            )
        places.append(np.arange(size))
    return places


def _zero(x: Tensor) -> Tensor:
    """0 of x's dtype, bool as well."""
    return constant(np.zeros((), x.dtype))
