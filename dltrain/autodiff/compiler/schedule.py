"""Pass: the order of the steps, and which elementwise steps run as one group.

The order is by need: a node stands close before what first needs it, so that values live short. A group
is a run of elementwise nodes of one shape; a node in between that does not depend on the group is moved
before it, the first one that does ends it. Results are the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dltrain.autodiff.compiler.ir import Node, topological_order
from dltrain.autodiff.ops.bases import Elementwise

Step = tuple[Node, ...]  # one node, or the nodes of an elementwise group in order


def schedule(outputs: Sequence[Node]) -> list[Step]:
    """One step a node."""
    return [(node,) for node in topological_order(outputs) if not node.is_leaf]


def group_elementwise(steps: Sequence[Step]) -> list[Step]:
    """The same nodes, with runs of elementwise ones of one shape as groups."""
    return list(_grouped(node for step in steps for node in step))


def _grouped(nodes: Iterator[Node]) -> Iterator[Step]:
    group: list[Node] = []
    members: set[Node] = set()
    for node in nodes:
        if isinstance(node.op, Elementwise) and (not group or node.spec.shape == group[0].spec.shape):
            group.append(node)
            members.add(node)
        elif members.isdisjoint(node.inputs):
            yield (node,)
        else:
            yield tuple(group)
            group, members = [], set()
            if isinstance(node.op, Elementwise):
                group, members = [node], {node}
            else:
                yield (node,)
    if group:
        yield tuple(group)
