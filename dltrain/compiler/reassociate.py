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
        own = [new.get(source, source) for source in node.inputs if uses[source] == 1]
        changed = node.with_new(new)
        made = changed.op.reassociated(changed, own)
        if made is not node:
            new[node] = made
    return program.replaced(new)
