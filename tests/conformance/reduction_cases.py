"""Cases of matrix products, reductions and softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from conformance.case import FLOATS, Case, Numbers

from dltrain.autodiff import ops
from dltrain.autodiff.ops.matmul import Matmul
from dltrain.autodiff.ops.reduce import Argmax, Max, Mean, Min, Size, Sum
from dltrain.autodiff.ops.softmax import LogSoftmax, Softmax, SoftmaxCrossEntropy
from dltrain.autodiff.spec import Array


def rows(function: Any) -> Any:
    """A function of one row, applied along the last axis."""
    return lambda x, *rest: np.apply_along_axis(function, -1, x, *rest) if x.size else np.zeros(x.shape)


def products_of(transpose_a: bool, transpose_b: bool) -> Any:
    a, b = "...ki" if transpose_a else "...ik", "...jk" if transpose_b else "...kj"
    return Case(
        "matmul",
        lambda x, y: ops.matmul(x, y, transpose_a=transpose_a, transpose_b=transpose_b),
        lambda x, y: np.einsum(f"{a},{b}->...ij", x, y, optimize=False),
        Matmul,
        [
            [swapped(first, transpose_a), swapped(second, transpose_b)]
            for first, second in [
                ((2, 3), (3, 4)),
                (("batch", 2), (2, "width")),
                (("batch", 2, 3), (3, 2)),
                ((2, 1, 2, 3), (2, 3, 1)),
                ((1, 1), (1, 1)),
                ((0, 3), (3, 2)),
                ((2, 0), (0, 2)),
            ]
        ],
        label="".join("T" if flag else "N" for flag in (transpose_a, transpose_b)),
    )


def swapped(dimensions: tuple[Any, ...], swap: bool) -> tuple[Any, ...]:
    return (*dimensions[:-2], *dimensions[:-3:-1]) if swap else dimensions


MATMUL = [products_of(ta, tb) for ta in (False, True) for tb in (False, True)]


def reduction(function: str, op: Any, reference: Any, label: str, dimensions: Any, **arguments: Any) -> Case:
    return Case(
        function,
        lambda x: getattr(ops, function)(x, **arguments),
        lambda x: reference(x, axis=arguments.get("axis"), keepdims=arguments.get("keepdims", False)),
        op,
        [[one] for one in dimensions],
        label=label,
    )


def fsum(x: Array, axis: Any, keepdims: bool) -> Array:
    """An exactly rounded sum, number by number."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(one % x.ndim for one in axes)
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    sizes = [x.shape[axis] for axis in kept]
    flat = x.transpose(*kept, *axes).reshape(math.prod(sizes), math.prod(x.shape[axis] for axis in axes))
    total = np.array([math.fsum(row) for row in flat]).reshape(sizes)
    return np.expand_dims(total, axes) if keepdims else total


def fmean(x: Array, axis: Any, keepdims: bool) -> Array:
    with np.errstate(invalid="ignore"):
        return fsum(x, axis, keepdims) / (fsum(np.ones_like(x), axis, keepdims))


def log_of_sum(x: Array, axis: Any, keepdims: bool) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(fsum(np.exp(x), axis, keepdims))


WHOLE = [(2, 3), ("batch", 4), (1,), (), (2, 1, 2)]
FILLED = [(2, 3, 2), ("batch", 2, "width"), (1, 1, 1)]
WITH_EMPTY = [*FILLED, (2, 0, 3), (0, 2, 2)]
BY_AXIS = [{"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 2)}, {"axis": []}]

REDUCE = [
    *(
        reduction(function, op, reference, f"all{keepdims}", dimensions, keepdims=keepdims)
        for function, op, reference, dimensions in [
            ("sum", Sum, fsum, [*WHOLE, (0, 2)]),
            ("mean", Mean, fmean, WHOLE),
            ("max", Max, np.amax, WHOLE),
            ("min", Min, np.amin, WHOLE),
            ("logsumexp", None, log_of_sum, WHOLE),
        ]
        for keepdims in (False, True)
    ),
    *(
        reduction(function, op, reference, f"axes{number}", dimensions, **arguments)
        for function, op, reference, dimensions in [
            ("sum", Sum, fsum, WITH_EMPTY),
            ("mean", Mean, fmean, FILLED),
            ("max", Max, lambda x, axis, keepdims: sorted_end(x, axis, keepdims, -1), FILLED),
            ("min", Min, lambda x, axis, keepdims: sorted_end(x, axis, keepdims, 0), FILLED),
            ("logsumexp", None, log_of_sum, FILLED),
        ]
        for number, arguments in enumerate(BY_AXIS)
    ),
    Case(
        "mean",
        ops.mean,
        lambda x: math.nan,
        Mean,
        [[(0, 2)]],
        smooth=False,
        label="empty",
    ),
    Case(
        "argmax",
        lambda x: ops.argmax(x, 1, keepdims=True),
        lambda x: np.argsort(x, axis=1)[:, -1:],
        Argmax,
        [[(2, 3)], [("batch", 4)], [(2, 1)], [(0, 2)]],
        differentiable=False,
    ),
    Case(
        "argmax",
        ops.argmax,
        lambda x: np.argsort(x)[..., -1],
        Argmax,
        [[(2, 3)], [(3, "batch")], [(1,)]],
        differentiable=False,
        label="last",
    ),
    Case(
        "Size",
        lambda x: Size((0,), x.dtype)(x),
        lambda x: len(x),
        Size,
        [[("batch", 2)], [(1,)], [(0, 3)]],
    ),
]


def sorted_end(x: Array, axis: Any, keepdims: bool, end: int) -> Array:
    axes = [axis] if isinstance(axis, int) else axis
    for one in axes:
        x = np.sort(x, axis=one).take([end], axis=one)
    return (
        x
        if keepdims
        else x.reshape([s for i, s in enumerate(x.shape) if i not in [a % x.ndim for a in axes]])
    )


def softmax_of_row(row: Array) -> list[float]:
    total = math.fsum(math.exp(x) for x in row)
    return [math.exp(x) / total for x in row]


def log_softmax_of_row(row: Array) -> list[float]:
    return [math.log(p) for p in softmax_of_row(row)]


def cross_entropy(logits: Array, labels: Array) -> Array:
    chosen = np.eye(logits.shape[-1])[labels] if labels.dtype.kind in "iu" else labels
    return np.einsum("...c,...c->...", -chosen, rows(log_softmax_of_row)(logits))


ROWS = [[("batch", 4)], [(2, 3)], [(3,)], [(2, 1)], [(0, 3)], [(2, 2, 2)]]

SOFTMAX = [
    Case("softmax", ops.softmax, rows(softmax_of_row), Softmax, ROWS),
    Case("log_softmax", ops.log_softmax, rows(log_softmax_of_row), LogSoftmax, ROWS),
    Case(
        "softmax",
        lambda x: ops.softmax(x, axis=0),
        lambda x: rows(softmax_of_row)(x.T).T,
        Softmax,
        [[("batch", 4)], [(2, 3)], [(3, 0)]],
        label="axis0",
    ),
    Case(
        "log_softmax",
        lambda x: ops.log_softmax(x, axis=0),
        lambda x: rows(log_softmax_of_row)(x.T).T,
        LogSoftmax,
        [[("batch", 4)], [(2, 3)], [(3, 0)]],
        label="axis0",
    ),
    *(
        Case(
            "softmax_cross_entropy",
            ops.softmax_cross_entropy,
            cross_entropy,
            SoftmaxCrossEntropy,
            [[("batch", 3), ("batch",)], [(2, 2, 3), (2, 2)], [(3,), ()], [(1, 3), (1,)], [(0, 3), (0,)]],
            numbers=(FLOATS, Numbers(0, 3, dtype)),
            label=dtype,
        )
        for dtype in ("int64", "uint8")
    ),
    Case(
        "softmax_cross_entropy",
        ops.softmax_cross_entropy,
        cross_entropy,
        None,
        [[("batch", 3), ("batch", 3)], [(2, 1), (2, 1)], [(0, 2), (0, 2)]],
        numbers=(FLOATS, Numbers(0.0, 1.0)),
        label="distribution",
    ),
]

CASES = [*MATMUL, *REDUCE, *SOFTMAX]
