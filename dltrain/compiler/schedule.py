"""Scheduling and loop fusion: the order of the nodes, and which elementwise ones run as one group.

The order is by need: a node stands close before what first needs it, so that values live short. A group
takes up elementwise nodes of one shape and waits until a node outside of it needs one of its results, or any
node a view of one; what does not need them goes before it. Results are the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from dltrain.autodiff.properties import Properties
from dltrain.autodiff.walk import postorder
from dltrain.compiler.ir import Node, Output

Group = tuple[Node, ...]
"""One node, with all its outputs in order; or elementwise ones of one shape in order; or these and then a
reduction of one of them."""

Fuses = Callable[[Properties], bool]
"""Whether an op may be computed in a group: an elementwise one anywhere, a reduction at the end."""


def schedule(results: Sequence[Node]) -> list[Group]:
    """A group for each node that is computed or joined."""
    order = postorder(results)
    outputs = {(node.inputs[0], node.op.number): node for node in order if isinstance(node.op, Output)}
    return [
        (node, *[outputs.get((node, k)) or _output(node, k) for k in range(1, 1 + len(node.others))])
        for node in order
        if not (node.op.is_leaf or node.op.is_view or isinstance(node.op, Output))
    ]


def _output(node: Node, number: int) -> Node:
    """An output that nobody reads."""
    return Node(Output(number), (node,), node.others[number - 1], node.origin)


def group_elementwise(groups: Iterable[Group], fuses: Fuses) -> Iterator[Group]:
    """The same nodes, with elementwise ones of one shape in groups."""
    waiting: dict[tuple[int, ...], dict[Node, None]] = {}  # groups by shape; none depends on another
    for group in groups:
        node = group[0]
        shape = node.spec.sizes if node.op.is_elementwise and fuses(node.op) else None
        viewed = [source.viewed for source in node.inputs if source.op.is_view]
        for other in list(waiting):
            members = waiting[other].keys()
            if not members.isdisjoint(viewed) or (other != shape and not members.isdisjoint(node.inputs)):
                yield tuple(waiting.pop(other))
        if shape is None:
            yield group
        else:
            waiting.setdefault(shape, {})[node] = None
    yield from map(tuple, waiting.values())


def fuse_reductions(groups: Iterable[Group], fuses: Fuses) -> list[Group]:
    """The same nodes, with a reduction at the end of the elementwise group that makes what it reduces.

    A group takes up one, the first; what nothing else reads of the group needs no memory then.
    """
    fused: list[Group] = []
    home: dict[Node, int] = {}  # the place of the group that a node is of
    for group in groups:
        node = group[0]
        if node.op.combine and (place := home.get(node.inputs[0])) is not None and fuses(node.op):
            for member in fused[place]:
                del home[member]
            fused[place] = (*fused[place], node)
            continue
        if node.op.is_elementwise and 0 not in node.spec.sizes and fuses(node.op):
            home.update(dict.fromkeys(group, len(fused)))
        fused.append(group)
    return fused
