"""Reassociation: numbers that multiply or divide an array one after the other do it as one.

(x * a) / b, with a and b single numbers, becomes x * (a / b): one pass over x fewer. Results differ by
rounding.
"""

from __future__ import annotations

from collections import Counter

from dltrain.autodiff.ops.arithmetic import Divide, Multiply
from dltrain.autodiff.walk import postorder
from dltrain.compiler.ir import Lowered, Node


def reassociate(program: Lowered) -> Lowered:
    """The program with scalar factors of an array joined."""
    order = postorder(program.results)
    uses = Counter([*program.results, *(source for node in order for source in node.inputs)])
    new: dict[Node, Node] = {}
    for node in order:
        new[node] = node.with_inputs(tuple(new[source] for source in node.inputs))
        match _scaling(node):
            case scaled, _ if uses[scaled] == 1 and _scaling(new[scaled]):
                new[node] = _joined(new[node], new[scaled])
    return program.replaced(new)


def _scaling(node: Node) -> tuple[Node, ...]:
    """What the node multiplies or divides by a single number, and that; empty if it does anything else."""
    if node.spec.rank and isinstance(node.op, Multiply | Divide):
        one, other = node.inputs
        if not other.spec.rank:
            return one, other
        if isinstance(node.op, Multiply) and not one.spec.rank:
            return other, one
    return ()


def _joined(outer: Node, inner: Node) -> Node:
    """(x scaled by a) scaled by b, as x scaled by one number: a b, a / b or b / a."""
    x, a = _scaling(inner)
    _, b = _scaling(outer)
    divides = isinstance(inner.op, Divide), isinstance(outer.op, Divide)
    if divides == (True, False):
        a, b = b, a
    factor = Node(Multiply() if divides[0] == divides[1] else Divide(), (a, b), a.spec, outer.origin)
    return Node(Divide() if all(divides) else Multiply(), (x, factor), outer.spec, outer.origin)
