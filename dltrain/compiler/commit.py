"""In-place update (buffer donation): groups that may write new values straight into the variables.

Such a group runs in the commit, after the guards: it reads the old values and writes the new ones tile by
tile, so that no copy of them is ever made. Its kernels are single calls of NumPy's, between which Python
handles no signal, so that an interrupt leaves all of a commit or none. Results are the same bits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import prod

from dltrain.autodiff.layout import Layout
from dltrain.compiler.buffers import Buffer
from dltrain.compiler.ir import Lowered, Node, Update
from dltrain.compiler.schedule import Group
from dltrain.compiler.storage import Storage


def direct_targets(
    groups: Sequence[Group], program: Lowered, joined: Collection[Node], storage: Storage
) -> dict[Node, Buffer]:
    """For each result of a group that may run in the commit: the variables' memory that it writes.

    Arguments:
        joined: nodes that lie within others, and therefore not where variables do.
    """
    written = _written(program.updates, storage)
    elsewhere = {value.viewed for _, value in program.updates} - written.keys()
    elsewhere.update(node.viewed for node in (*program.fetches, *program.guarded))
    elsewhere.update(joined)
    readers = _readers(groups)
    committed: dict[Group, list[Buffer]] = {}
    reads: dict[Group, list[tuple[Node, Node, Buffer]]] = {}
    for group in groups:
        targets = [written[node] for node in group if node in written]
        if (
            targets
            and all(node.op.is_elementwise and node.op.ufunc is not None for node in group)
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
        if any(memory.overlaps(target) for memory in others for target in targets):
            del committed[group]
    return {node: written[node] for group in committed for node in group if node in written}


def commit_copies(
    updates: Sequence[Update], buffers: Mapping[Node, Buffer], storage: Storage
) -> dict[Node, Buffer]:
    """Copies of the new values into those variables that no group writes itself."""
    return {
        value.copied(value.origin): storage[variable]
        for variable, value in updates
        if buffers[value] != storage[variable]
    }


def _written(updates: Sequence[Update], storage: Storage) -> dict[Node, Buffer]:
    """Nodes whose parts, in order, are the new values of neighbouring variables; and the memory of those."""
    parts: dict[Node, list[Update]] = {}
    for variable, value in updates:
        parts.setdefault(value.viewed, []).append((variable, value))
    written = {}
    for node, pairs in parts.items():
        memory = storage.joint([variable for variable, _ in pairs])
        if memory is not None and _covers(node, [value for _, value in pairs]):
            written[node] = memory.at(Layout.contiguous(node.spec.sizes, memory.layout.offset))
    return written


def _covers(node: Node, values: Sequence[Node]) -> bool:
    """Whether the values are contiguous parts of `node` that follow each other from its start to its end."""
    whole = Layout.contiguous(node.spec.sizes)
    end = 0
    for value in values:
        part = _view_of(value, node, whole)
        if part is None or not part.is_contiguous or part.offset != end:
            return False
        end = part.end
    return end == whole.end


def _view_of(value: Node, node: Node, whole: Layout) -> Layout | None:
    if value is node:
        return whole
    source = _view_of(value.inputs[0], node, whole)
    return None if source is None else value.op.view(source, value.spec.sizes)


def _readers(groups: Sequence[Group]) -> dict[Node, Group | None]:
    """The one group that reads a node's value, views followed through; None where there are several."""
    readers: dict[Node, Group | None] = {}
    for group in groups:
        for node in group:
            for source in node.inputs:
                root = source.viewed
                readers[root] = group if readers.get(root, group) is group else None
    return readers


def _reads_in_place(node: Node, source: Node, memory: Buffer, targets: Sequence[Buffer]) -> bool:
    """Whether the node reads of each target only the very element that its group writes.

    Then no tile reads what an earlier tile wrote.
    """
    same_elements = source is source.viewed and prod(source.spec.sizes) == prod(node.spec.sizes)
    return all(
        (same_elements and (memory.block, memory.offset) == (target.block, target.offset))
        or not memory.overlaps(target)
        for target in targets
    )
