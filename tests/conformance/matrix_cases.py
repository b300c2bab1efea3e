"""Cases of cumulative sums, order along an axis, triangles, linear systems and einsum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from conformance.case import BOOLS, FLOATS, Case, Numbers

from dltrain.autodiff import ops
from dltrain.autodiff.ops.cumulative import Cumsum
from dltrain.autodiff.ops.gather import AddAlongAxis, TakeAlongAxis
from dltrain.autodiff.ops.linalg import Cholesky, Solve, SolveTriangular
from dltrain.autodiff.ops.matmul import Matmul
from dltrain.autodiff.ops.sorting import Argsort
from dltrain.autodiff.spec import Array

FEW = Numbers(0, 3, "int64")
SMALL = Numbers(-0.4, 0.4)

# --- cumulative sums: a matrix of zeros and ones times the vector ---


def cumsum(axis: int, reverse: bool, exclusive: bool, numbers: Numbers = FLOATS) -> Case:
    def reference(x: Array) -> Array:
        size = x.shape[axis]
        i, j = np.ogrid[:size, :size]
        included = (j >= i if reverse else j <= i) & ((i != j) | (not exclusive))
        return np.moveaxis(np.tensordot(included.astype(x.dtype), x, (1, axis)), 0, axis)

    return Case(
        "cumsum",
        lambda x: ops.cumsum(x, axis, reverse=reverse, exclusive=exclusive),
        reference,
        Cumsum,
        [[("batch", 4)], [(4, 1, 2)], [(1, 1)], [(0, 3)], [(3, 0)]],
        numbers=(numbers,),
        label=f"{axis}-{reverse:d}{exclusive:d}-{numbers.dtype}",
    )


CUMULATIVE = [
    cumsum(-1, False, False),
    cumsum(0, True, False),
    cumsum(0, False, True),
    cumsum(-1, True, True),
    cumsum(-1, False, True, FEW),
]

# --- order: by Python's sorted, which is stable ---


def positions(descending: bool) -> Callable[[Array], Array]:
    def reference(x: Array) -> Array:
        result = np.empty(x.shape, int)
        for place in np.ndindex(x.shape[:-1]):
            row = x[place]
            result[place] = sorted(range(len(row)), key=lambda i, row=row: -row[i] if descending else row[i])
        return result

    return reference


def numbers_at(x: Array, indices: Array) -> Array:
    result = np.empty(indices.shape, x.dtype)
    for place in np.ndindex(indices.shape):
        result[place] = x[(*place[:-1], indices[place])]
    return result


ROWS = [[("batch", 5)], [(4,)], [(2, 2, 3)], [(1, 1)], [(0, 3)]]

ORDER = [
    *(
        Case(
            "argsort",
            lambda x, descending=descending: ops.argsort(x, descending=descending),
            positions(descending),
            Argsort,
            ROWS,
            numbers=(numbers,),
            differentiable=numbers is FEW,  # without a float there is nothing to refuse
            label=f"{descending:d}-{numbers.dtype}",
        )
        for descending in (False, True)
        for numbers in (FLOATS, FEW)
    ),
    Case(
        "argsort",
        lambda x: ops.argsort(x, axis=0),
        lambda x: positions(False)(x.T).T,
        Argsort,
        [[("batch", 5)], [(4, 1)]],
        differentiable=False,
        label="first",
    ),
    *(
        Case(
            "sort",
            lambda x, descending=descending: ops.sort(x, descending=descending),
            lambda x, descending=descending: numbers_at(x, positions(descending)(x)),
            None,
            ROWS,
            label=f"{descending:d}",
        )
        for descending in (False, True)
    ),
    Case(
        "sort",
        lambda x: ops.sort(x, axis=0),
        lambda x: numbers_at(x.T, positions(False)(x.T)).T,
        None,
        [[("batch", 5)], [(0, 2)]],
        label="first",
    ),
    Case(
        "top_k",
        lambda x: ops.top_k(x, 2)[0],
        lambda x: numbers_at(x, positions(True)(x)[..., :2]),
        None,
        [[("batch", 5)], [(2,)], [(0, 3)]],
    ),
    Case(
        "top_k",
        lambda x: ops.top_k(x, 2, axis=0)[1],
        lambda x: positions(True)(x.T)[:, :2].T,
        Argsort,
        [[(4, "batch")], [(2, 1)]],
        numbers=(FEW,),
        label="positions",
    ),
    Case(
        "take_along_axis",
        ops.take_along_axis,
        numbers_at,
        TakeAlongAxis,
        [
            [("batch", 4), ("batch", 6)],
            [(4,), (2,)],
            [(2, 1, 4), (2, 1, 1)],
            [(0, 4), (0, 2)],
            [(2, 4), (2, 0)],
        ],
        numbers=(FLOATS, Numbers(0, 4, "int64")),
    ),
    Case(
        "take_along_axis",
        lambda x, indices: ops.take_along_axis(x, indices, axis=-2),
        lambda x, indices: numbers_at(x.swapaxes(-1, -2), indices.swapaxes(-1, -2)).swapaxes(-1, -2),
        TakeAlongAxis,
        [[("batch", 4, 2), ("batch", 3, 2)], [(4, 1), (2, 1)]],
        numbers=(FLOATS, Numbers(0, 4, "int64")),
        label="inner",
    ),
    Case(
        "AddAlongAxis",
        lambda x, indices: AddAlongAxis(1, 3)(x, indices),
        lambda x, indices: np.einsum("ijk,ijkn->ink", x, np.eye(3)[indices]),
        AddAlongAxis,
        [[("batch", 4, 2)] * 2, [(1, 1, 1)] * 2, [(2, 0, 1)] * 2, [(0, 2, 1)] * 2],
        numbers=(FLOATS, FEW),
    ),
]

# --- triangles ---


def triangle(function: str, k: int, numbers: Numbers = FLOATS) -> Case:
    return Case(
        function,
        lambda x: getattr(ops, function)(x, k),
        lambda x: getattr(np, function)(x, k),
        None,
        [[("batch", 4, 4)], [(2, 5)], [(5, 2)], [(1, 1)], [(0, 3)], [(0, 2, 2)]],
        numbers=(numbers,),
        label=f"{k}-{numbers.dtype}",
    )


TRIANGLES = [
    *(triangle(function, k) for function in ("tril", "triu") for k in (-1, 0, 2)),
    triangle("tril", 0, FEW),
    triangle("triu", 1, BOOLS),
    Case(
        "diagonal",
        ops.diagonal,
        lambda x: np.diagonal(x, axis1=-2, axis2=-1),
        None,
        [
            [("batch", 3, 3)],
            [(2, 4)],
            [(4, 2)],
            [(1, 1)],
            [(5, 1)],
            [(2, 1, 3)],
            [(0, 3)],
            [(2, 0)],
            [(0, 2, 2)],
        ],
    ),
    Case(
        "diag",
        ops.diag,
        lambda x: x[..., None] * np.eye(x.shape[-1]),
        None,
        [[("batch", 3)], [(4,)], [(1,)], [(0,)], [(0, 2)]],
    ),
]

# --- linear systems: matrices near the identity ---


def near_identity(x: Any, scale: float = 1.0) -> Any:
    return x + scale * np.eye(x.shape[-1])


def cholesky_by_rows(a: Array) -> Array:
    """Golub and Van Loan 2013, section 4.2.5, element by element, from the lower triangle."""
    factor = np.zeros_like(a)
    for j in range(a.shape[-1]):
        for i in range(j, a.shape[-1]):
            rest = a[..., i, j] - np.sum(factor[..., i, :j] * factor[..., j, :j], -1)
            factor[..., i, j] = np.sqrt(rest) if i == j else rest / factor[..., j, j]
    return factor


def solved(a: Array, b: Array) -> Array:
    """By Cramer's rule."""
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, stack + a.shape[-2:]), np.broadcast_to(b, stack + b.shape[-2:])
    x = np.empty(b.shape)
    for row, column in np.ndindex(b.shape[-2:]):
        replaced = a.copy()
        replaced[..., row] = b[..., column]
        x[..., row, column] = np.linalg.det(replaced) / np.linalg.det(a)
    return x


SYSTEMS = [
    [(3, 3), (3, 2)],
    [("batch", 2, 2), ("batch", 2, 1)],
    [("batch", 2, 2), (2, 3)],
    [(3, 3), (2, 1, 3, 1)],
    [(1, 1), (1, 1)],
    [(0, 0), (0, 2)],
    [(2, 2), (2, 0)],
    [(0, 2, 2), (2, 1)],
]


def triangular(lower: bool, transpose_a: bool) -> Case:
    def reference(a: Array, b: Array) -> Array:
        t = np.tril(near_identity(a)) if lower else np.triu(near_identity(a))
        return solved(t.swapaxes(-1, -2) if transpose_a else t, b)

    return Case(
        "solve_triangular",
        lambda a, b: ops.solve_triangular(near_identity(a), b, lower=lower, transpose_a=transpose_a),
        reference,
        SolveTriangular,
        SYSTEMS,
        numbers=(SMALL, FLOATS),
        label=f"{'lower' if lower else 'upper'}-{'NT'[transpose_a]}",
    )


SYSTEM = [
    Case(
        "cholesky",
        lambda a: ops.cholesky(near_identity(a, 2)),
        lambda a: cholesky_by_rows(near_identity(a, 2)),
        Cholesky,
        [[(3, 3)], [("batch", 2, 2)], [(2, 1, 4, 4)], [(1, 1)], [(0, 0)], [(0, 2, 2)]],
        numbers=(SMALL,),
    ),
    Case(
        "solve",
        lambda a, b: ops.solve(near_identity(a), b),
        lambda a, b: solved(near_identity(a), b),
        Solve,
        SYSTEMS,
        numbers=(SMALL, FLOATS),
        label="N",
    ),
    Case(
        "solve",
        lambda a, b: ops.solve(near_identity(a), b, transpose_a=True),
        lambda a, b: solved(near_identity(a).swapaxes(-1, -2), b),
        Solve,
        SYSTEMS,
        numbers=(SMALL, FLOATS),
        label="T",
    ),
    *(triangular(lower, transpose_a) for lower in (False, True) for transpose_a in (False, True)),
]

# --- einsum ---


def einsum(equation: str, op: Any, *shapes: Sequence[Any]) -> Case:
    return Case(
        "einsum",
        lambda *tensors: ops.einsum(equation, *tensors),
        lambda *arrays: np.einsum(equation, *arrays, optimize=False),
        op,
        shapes,
        label=equation,
    )


EINSUM = [
    einsum("ij,jk->ik", Matmul, [(2, 3), (3, 4)], [("batch", 2), (2, 1)], [(0, 3), (3, 1)], [(2, 0), (0, 3)]),
    einsum("ij,jk->ki", Matmul, [("batch", 3), (3, 4)]),
    einsum("...ij,...kj", Matmul, [("batch", 2, 3), (4, 3)], [(2, 3), ("batch", 4, 3)]),
    einsum("abi,ibj->aj", Matmul, [("batch", 2, 3), (3, 2, 4)]),
    einsum("abij,klab->ijkl", Matmul, [(2, 1, 3, 2), (1, 2, 2, 1)]),
    einsum("bij,bj->bi", Matmul, [("batch", 2, 3), ("batch", 3)]),
    einsum("bi,ij,bj->b", Matmul, [("batch", 2), (2, 3), ("batch", 3)]),
    einsum("bi,bi->b", None, [("batch", 3), ("batch", 3)]),
    einsum("i,j", None, [("batch",), (3,)], [(1,), (0,)]),
    einsum("ij,k->i", None, [("batch", 2), (3,)]),
    einsum("a...b->b...", None, [("batch", 2, 3)], [(1, 1)]),
    einsum("ij->", None, [("batch", 2)]),
]

CASES = [*CUMULATIVE, *ORDER, *TRIANGLES, *SYSTEM, *EINSUM]
