"""What tells at little cost that a guarded vector is finite: sums of squares of its parts.

They are finite only if all numbers are; of numbers beyond 1e19 (float32) they may overflow, so that who finds
one that is not looks at the vector itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from dltrain.autodiff.graph import Op
from dltrain.autodiff.spec import Array, Spec
from dltrain.compiler.ir import Node

PART = 16_384  # numbers


@dataclass(frozen=True)
class SumsOfSquares(Op, abstract=True):
    """The sum of the squares of each `PART` numbers of its input; NumPy's kernel gives one sum of all."""

    def compute(self, x: Array, *, out: Array) -> None:
        out[:] = 0
        out[0] = np.vdot(x, x)


def sums_of_squares(guard: Node) -> Node:
    """Of a long vector of floats; any other guard itself, whose own squares are as quick to add up."""
    size = prod(guard.spec.sizes)
    if not guard.spec.is_float or size <= PART:
        return guard
    return Node(SumsOfSquares(), (guard,), Spec((ceil(size / PART),), guard.spec.dtype), guard.origin)
