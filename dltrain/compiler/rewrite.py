"""Algebraic simplification: nodes become cheaper ones with the same value, by the rules of their ops.

Every rule keeps the same bits, but for one: log(softmax(x)) becomes log_softmax(x), which is finite where the
softmax underflows to 0, and elsewhere agrees to a few units in the last place.
"""

from __future__ import annotations

from dltrain.compiler.ir import Lowered


def rewrite(program: Lowered) -> Lowered:
    """The program with each node replaced by what its op makes of it."""
    return program.rebuilt(lambda node: node.op.simplified(node))
