"""Reassociation: numbers that multiply or divide an array one after the other do it as one.

(x * a) / b, with a and b single numbers, becomes x * (a / b): one pass over x fewer. Results differ by
rounding. Which ops do so is theirs to say.
"""

from __future__ import annotations

from collections import Counter

from dltrain.autodiff.walk import postorder
from dltrain.compiler.ir import Lowered, Node


def reassociate(program: Lowered) -> Lowered:
    """The program with scalar factors of an array joined."""
    order = postorder(program.results)
    uses = Counter([*program.results, *(source for node in order for source in node.inputs)])
    new: dict[Node, Node] = {}
    for node in order:
        own = [new[source] for source in node.inputs if uses[source] == 1]
        changed = node.with_inputs(tuple([new[source] for source in node.inputs]))
        new[node] = changed.op.reassociated(changed, own)
    return program.replaced(new)
