"""From groups with arrays to instructions: what is to be computed, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from dltrain.autodiff.ops.bases import View
from dltrain.autodiff.ops.slices import Pack
from dltrain.autodiff.spec import Array
from dltrain.compiler.ir import Copy, Node, Update
from dltrain.compiler.schedule import Group
from dltrain.compiler.storage import Storage, is_same_memory


@dataclass(frozen=True, eq=False, slots=True)
class Instruction:
    """Nodes that are computed together: one with all its outputs, or an elementwise group, in order.

    Attributes:
        arrays: of what the nodes read from elsewhere, and of those of them that are read elsewhere.
    """

    nodes: Group
    arrays: Mapping[Node, Array]

    @property
    def node(self) -> Node:
        """The one whose op is computed, unless it is a group."""
        return self.nodes[0]

    @property
    def inputs(self) -> list[Array]:
        """What that one reads."""
        return [self.arrays[source] for source in self.node.inputs]

    @property
    def outputs(self) -> list[Array]:
        """What is written."""
        return [self.arrays[node] for node in self.nodes if node in self.arrays]


def copy(node: Node, source: Array, target: Array) -> Instruction:
    """What copies `source`, the node's numbers or a view of them, to `target`."""
    copied = Node(Copy(), (node,), node.spec.with_shape(target.shape), node.origin)
    return Instruction((copied,), {node: source, copied: target})


def instructions(groups: Sequence[Group], arrays: Mapping[Node, Array]) -> list[Instruction]:
    """What the groups come to; a result that is in place already needs nothing."""
    result: list[Instruction] = []
    for group in groups:
        node = group[0]
        if isinstance(node.op, Pack):
            result += _pack_copies(node, arrays)
        elif not isinstance(node.op, View):
            result.append(Instruction(group, arrays))
        elif arrays[node].size and not np.may_share_memory(arrays[node], viewed := arrays[node.inputs[0]]):
            source = node.op.view(viewed, node.spec.sizes)
            if np.may_share_memory(source, viewed):
                result.append(copy(node, source, arrays[node]))
            else:
                result.append(Instruction(group, arrays))  # NumPy makes the copy each time
    return result


def commit_instructions(
    updates: Sequence[Update], arrays: Mapping[Node, Array], storage: Storage
) -> list[Instruction]:
    """Copies of the new values into those variables that no group writes itself."""
    return [
        copy(value, arrays[value], storage.array(variable))
        for variable, value in updates
        if not is_same_memory(storage.array(variable), arrays[value])
    ]


def _pack_copies(node: Node, arrays: Mapping[Node, Array]) -> list[Instruction]:
    copies = []
    start = 0
    for source in node.inputs:
        size = prod(source.spec.sizes)
        part = arrays[node][start : start + size].reshape(source.spec.sizes)
        if not is_same_memory(part, arrays[source]):
            copies.append(copy(source, arrays[source], part))
        start += size
    return copies
