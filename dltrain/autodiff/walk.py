"""The one walk over a graph, for whoever needs its nodes in an order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TypeVar

Node = TypeVar("Node")


def postorder(
    roots: Sequence[Node], inputs: Callable[[Node], Iterable[Node]] = attrgetter("inputs")
) -> list[Node]:
    """The roots and all nodes that they are computed from, each once and after its inputs.

    A node comes as shortly before what first needs it as its own inputs allow: depth first, inputs and roots
    from left to right. It works on tensors and on whatever else has inputs, to any depth.

    Arguments:
        roots: where the walk begins.
        inputs: what a node is computed from, default `node.inputs`. Fewer leave parts of the graph out: to
            stop at some nodes, `lambda node: () if node in stops else node.inputs`.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((source, False) for source in reversed([*inputs(node)]))
    return order
