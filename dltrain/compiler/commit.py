"""In-place update (buffer donation): groups that may write new values straight into the variables.

Such a group runs in the commit, after the guards: it reads the old values and writes the new ones tile by
tile, so that no copy of them is ever made. Its kernels are single calls of NumPy's, between which Python
handles no signal, so that an interrupt leaves all of a commit or none. Results are the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from dltrain.autodiff.ops.bases import Elementwise, View
from dltrain.autodiff.spec import Array
from dltrain.compiler.ir import Copy, Lowered, Node, Update
from dltrain.compiler.schedule import Group
from dltrain.compiler.storage import Storage, is_same_memory


def copy_variables(program: Lowered, storage: Storage) -> Lowered:
    """A new value that is another variable's memory is copied before anything is committed."""
    updates = [
        (
            variable,
            Node(Copy(), (value,), value.spec, value.origin)
            if storage.read(value.viewed) is not None
            else value,
        )
        for variable, value in program.updates
    ]
    return replace(program, updates=tuple(updates))


def direct_targets(groups: Sequence[Group], program: Lowered, storage: Storage) -> dict[Node, Array]:
    """For each result of a group that may run in the commit: the variables' memory that it writes."""
    written = _written(program.updates, storage)
    elsewhere = {value.viewed for _, value in program.updates} - written.keys()
    elsewhere.update(node.viewed for node in (*program.fetches, *program.guarded))
    readers = _readers(groups)
    committed: dict[Group, list[Array]] = {}
    reads: dict[Group, list[tuple[Node, Node, Array]]] = {}
    for group in groups:
        targets = [written[node] for node in group if node in written]
        if (
            targets
            and all(isinstance(node.op, Elementwise) and node.op.ufunc is not None for node in group)
            and all(node not in elsewhere and readers.get(node, group) is group for node in group)
        ):
            reads[group] = [
                (node, source, memory)
                for node in group
                for source in node.inputs
                if (memory := storage.read(source.viewed)) is not None
            ]
            if all(_reads_in_place(*read, targets) for read in reads[group]):
                committed[group] = targets
    for group, targets in list(committed.items()):  # nor may a group write what another one reads
        others = [memory for other in committed if other is not group for _, _, memory in reads[other]]
        if any(np.may_share_memory(memory, target) for memory in others for target in targets):
            del committed[group]
    return {
        node: written[node].reshape(node.spec.sizes)
        for group in committed
        for node in group
        if node in written
    }


def _written(updates: Sequence[Update], storage: Storage) -> dict[Node, Array]:
    """Nodes whose parts, in order, are the new values of neighbouring variables; and the memory of those."""
    parts: dict[Node, list[Update]] = {}
    for variable, value in updates:
        parts.setdefault(value.viewed, []).append((variable, value))
    written = {}
    for node, pairs in parts.items():
        memory = storage.joint([variable for variable, _ in pairs])
        if memory is not None and _covers(node, [value for _, value in pairs]):
            written[node] = memory
    return written


def _covers(node: Node, values: Sequence[Node]) -> bool:
    """Whether the values are contiguous parts of `node` that follow each other from its start to its end."""
    memory = np.empty(node.spec.sizes, node.spec.dtype)  # never touched: only addresses are compared
    address = memory.ctypes.data
    for value in values:
        part = _view_of(value, node, memory)
        if not part.flags.c_contiguous or part.ctypes.data != address:
            return False
        address += part.nbytes
    return address == memory.ctypes.data + memory.nbytes


def _view_of(value: Node, node: Node, memory: Array) -> Array:
    if value is node:
        return memory
    assert isinstance(value.op, View)
    return value.op.view(_view_of(value.inputs[0], node, memory), value.spec.sizes)


def _readers(groups: Sequence[Group]) -> dict[Node, Group | None]:
    """The one group that reads a node's value, views followed through; None where there are several."""
    readers: dict[Node, Group | None] = {}
    for group in groups:
        for node in group:
            if not isinstance(node.op, View):
                for source in node.inputs:
                    root = source.viewed
                    readers[root] = group if readers.get(root, group) is group else None
    return readers


def _reads_in_place(node: Node, source: Node, memory: Array, targets: Sequence[Array]) -> bool:
    """Whether the node reads of each target only the very element that its group writes.

    Then no tile reads what an earlier tile wrote.
    """
    same_elements = source is source.viewed and prod(source.spec.sizes) == prod(node.spec.sizes)
    return all(
        (same_elements and is_same_memory(memory, target)) or not np.may_share_memory(memory, target)
        for target in targets
    )
