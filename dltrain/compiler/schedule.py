"""Scheduling and loop fusion: the order of the nodes, and which elementwise ones run as one group.

The order is by need: a node stands close before what first needs it, so that values live short. A group
takes up elementwise nodes of one shape and waits until a node outside of it needs one of its results; what
does not need them goes before it. Results are the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dltrain.autodiff.ops.bases import Elementwise
from dltrain.autodiff.walk import postorder
from dltrain.compiler.ir import Node

Group = tuple[Node, ...]  # one node, or the nodes of an elementwise group in order


def schedule(outputs: Sequence[Node]) -> list[Group]:
    """A group for each node that is to be computed."""
    return [(node,) for node in postorder(outputs) if not node.is_leaf]


def group_elementwise(groups: Sequence[Group]) -> list[Group]:
    """The same nodes, with elementwise ones of one shape in groups."""
    return list(_grouped(node for group in groups for node in group))


def _grouped(nodes: Iterator[Node]) -> Iterator[Group]:
    waiting: dict[tuple[int, ...], dict[Node, None]] = {}  # groups by shape; none depends on another
    for node in nodes:
        shape = node.spec.sizes if isinstance(node.op, Elementwise) else None
        for other in list(waiting):
            if other != shape and not waiting[other].keys().isdisjoint(node.inputs):
                yield tuple(waiting.pop(other))
        if shape is None:
            yield (node,)
        else:
            waiting.setdefault(shape, {})[node] = None
    yield from map(tuple, waiting.values())
