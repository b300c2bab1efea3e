"""Cases of loops, against plain loops over NumPy's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from conformance.case import Case

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.loops import scan, while_loop
from dltrain.autodiff.loops.scan_op import Scan
from dltrain.autodiff.spec import Array


def elman(x: Tensor, w: Tensor, u: Tensor, **options: Any) -> Tensor:
    """h <- tanh(x w + h u), from 0 (Elman 1990): all h."""
    first = ops.matmul(x[0], w) * 0.0

    def turn(h: Tensor, element: Tensor) -> tuple[Tensor, Tensor]:
        following = ops.tanh(element @ w + h @ u)
        return following, following

    outputs: Tensor = scan(turn, first, x, **options)[1]
    return outputs


def elman_in_numpy(x: Array, w: Array, u: Array, step: int = 1) -> Array:
    h, found = np.zeros((x.shape[1], w.shape[1])), []
    for element in x[::step]:
        h = np.tanh(element @ w + h @ u)
        found.append(h)
    return np.array(found[::step])


def halvings(x: Tensor) -> Tensor:
    """x halved until its greatest absolute value is below 0.4."""
    last, _ = while_loop(
        lambda state: ops.greater(ops.max(ops.abs(state)), 0.4), lambda state: ops.sin(state * 0.5), x, 9
    )
    result: Tensor = last
    return result


def halvings_in_numpy(x: Array) -> Array:
    while np.abs(x).max() > 0.4:
        x = np.sin(x * 0.5)
    return x


SHAPES = [[(3, "batch", 2), (2, 2), (2, 2)], [(1, 2, 1), (1, 3), (3, 3)]]

CASES = [
    Case("scan", elman, elman_in_numpy, Scan, SHAPES),
    Case(
        "scan",
        lambda x, w, u: elman(x, w, u, reverse=True),
        lambda x, w, u: elman_in_numpy(x, w, u, step=-1),
        Scan,
        SHAPES,
        label="reverse",
    ),
    Case(
        "scan",
        lambda x, w, u: elman(x, w, u, checkpoint=1),
        elman_in_numpy,
        Scan,
        SHAPES[:1],
        label="checkpoint",
    ),
    Case("while_loop", halvings, halvings_in_numpy, Scan, [[(2, 3)], [("batch",)]]),
]
