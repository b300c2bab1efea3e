"""From groups with arrays to instructions: what is to be computed or copied, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from dltrain.autodiff.ops.bases import View
from dltrain.autodiff.ops.slices import Pack
from dltrain.autodiff.spec import Array
from dltrain.compiler.ir import Node, Update
from dltrain.compiler.schedule import Group
from dltrain.compiler.storage import Storage, is_same_memory


@dataclass(frozen=True)
class Copy:
    """The numbers of `source` into `target`, which is the node's or part of it."""

    node: Node
    source: Array
    target: Array


Instruction = Group | Copy
"""Nodes that are computed together, or a copy."""


def instructions(groups: Sequence[Group], arrays: Mapping[Node, Array]) -> list[Instruction]:
    """What the groups come to; a result that is in place already needs nothing."""
    result: list[Instruction] = []
    for group in groups:
        node = group[0]
        if isinstance(node.op, Pack):
            result += _pack_copies(node, arrays)
        elif not isinstance(node.op, View):
            result.append(group)
        elif arrays[node].size and not np.may_share_memory(arrays[node], viewed := arrays[node.inputs[0]]):
            source = node.op.view(viewed, node.spec.sizes)
            if np.may_share_memory(source, viewed):
                result.append(Copy(node, source, arrays[node]))
            else:
                result.append(group)  # NumPy makes the copy each time
    return result


def commit_instructions(
    updates: Sequence[Update], arrays: Mapping[Node, Array], storage: Storage
) -> list[Copy]:
    """Copies of the new values into those variables that no group writes itself."""
    return [
        Copy(value, arrays[value], storage.array(variable))
        for variable, value in updates
        if not is_same_memory(storage.array(variable), arrays[value])
    ]


def _pack_copies(node: Node, arrays: Mapping[Node, Array]) -> list[Copy]:
    copies = []
    start = 0
    for source in node.inputs:
        size = prod(source.spec.sizes)
        part = arrays[node][start : start + size].reshape(source.spec.sizes)
        if not is_same_memory(part, arrays[source]):
            copies.append(Copy(node, arrays[source], part))
        start += size
    return copies
