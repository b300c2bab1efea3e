"""What tells at little cost that a guard is finite: its summary, few numbers whose squares are added up.

The sum is finite only if all of the guard is; of numbers beyond 1e19 (float32) it may overflow, so that who
finds it is not looks at the guard itself.
"""

from __future__ import annotations

from math import ceil, prod

import numpy as np

from dltrain.autodiff.op import Op
from dltrain.autodiff.spec import Array, Spec
from dltrain.compiler.ir import Node

PART = 16_384  # numbers


class SumsOfSquares(Op, abstract=True):
    """The sum of the squares of each `PART` numbers of its input; NumPy's kernel gives one sum of all."""

    def compute(self, x: Array, *, out: Array) -> None:
        out[:] = 0
        out[0] = np.vdot(x, x)


def summarized(guard: Node) -> Node:
    """The summary: of many floats the sums of squares of their parts; any other guard is its own."""
    size = prod(guard.spec.sizes)
    if not guard.spec.is_float or size <= PART:
        return guard
    return Node(SumsOfSquares(), (guard,), Spec((ceil(size / PART),), guard.spec.dtype), guard.origin)
