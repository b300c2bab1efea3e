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
        joined = node.with_inputs(tuple(new[source] for source in node.inputs))
        scaled = _scaled(node)
        if scaled is not None and uses[scaled] == 1 and _scaled(new[scaled]) is not None:
            joined = _joined(joined, new[scaled])
        new[node] = joined
    return program.replaced(new)


def _scaled(node: Node) -> Node | None:
    """What the node multiplies or divides by a single number; None if it does anything else."""
    if not node.spec.rank or not isinstance(node.op, Multiply | Divide):
        return None
    one, other = node.inputs
    if not other.spec.rank:
        return one
    return other if isinstance(node.op, Multiply) and not one.spec.rank else None


def _joined(outer: Node, inner: Node) -> Node:
    """(x scaled by a) scaled by b, as x scaled by one number: a b, a / b or b / a."""
    x, a = _operands(inner)
    _, b = _operands(outer)
    divides = isinstance(inner.op, Divide), isinstance(outer.op, Divide)
    if divides == (True, False):
        a, b = b, a
    factor = Node(Multiply() if divides[0] == divides[1] else Divide(), (a, b), a.spec, outer.origin)
    return Node(Divide() if all(divides) else Multiply(), (x, factor), outer.spec, outer.origin)


def _operands(node: Node) -> tuple[Node, Node]:
    """What is scaled, and by what."""
    one, other = node.inputs
    return (one, other) if one is _scaled(node) else (other, one)
