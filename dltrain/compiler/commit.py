"""In-place update (buffer donation): groups that may write new values straight into the variables.

Such a group runs in the commit, after the guards: it reads the old values and writes the new ones tile by
tile, so that no copy of them is ever made. Its kernels are single calls of NumPy's, between which Python
handles no signal, so that an interrupt leaves all of a commit or none. Results are the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from dltrain.autodiff.graph import ReadVariable, Variable
from dltrain.autodiff.ops.bases import Elementwise, View
from dltrain.autodiff.ops.slices import Pack
from dltrain.autodiff.spec import Array
from dltrain.compiler.ir import Copy, Lowered, Node, Update
from dltrain.compiler.schedule import Group
from dltrain.compiler.storage import Storage


def copy_variables(program: Lowered) -> Lowered:
    """A new value that is another variable's memory is copied before anything is committed."""
    updates = [
        (variable, Node(Copy(), (value,), value.spec, value.origin) if variables_of(viewed(value)) else value)
        for variable, value in program.updates
    ]
    return replace(program, updates=tuple(updates))


def direct_targets(groups: Sequence[Group], program: Lowered, storage: Storage) -> dict[Node, Array]:
    """For each result of a group that may run in the commit: the variables' memory that it writes."""
    written = _written_variables(program.updates, storage)
    update_roots = {viewed(value) for _, value in program.updates}
    fetched = {viewed(node) for node in (*program.fetches, *program.guarded)}
    readers = _readers(groups)
    committed: dict[Group, list[Node]] = {}
    for group in groups:
        results = [node for node in group if node in update_roots]
        if (
            results
            and all(isinstance(node.op, Elementwise) and node.op.ufunc is not None for node in group)
            and all(node in written for node in results)
            and all(node not in fetched and readers.get(node, group) is group for node in group)
            and _reads_in_place(group, results, written)
        ):
            committed[group] = results
    _drop_conflicts(committed, written)
    return {
        node: _joint(written[node], storage).reshape(node.spec.sizes)
        for results in committed.values()
        for node in results
    }


def viewed(node: Node) -> Node:
    """What the node is a view of."""
    while isinstance(node.op, View):
        node = node.inputs[0]
    return node


def variables_of(node: Node) -> list[Variable]:
    """The variables whose values the node reads out one after the other; empty if it does anything else."""
    sources = node.inputs if isinstance(node.op, Pack) else (node,)
    variables = [source.origin for source in sources if isinstance(source.op, ReadVariable)]
    if len(variables) != len(sources):
        return []
    return [variable for variable in variables if isinstance(variable, Variable)]


def _joint(variables: Sequence[Variable], storage: Storage) -> Array:
    memory = storage.joint(variables)
    assert memory is not None
    return memory


def _written_variables(updates: Sequence[Update], storage: Storage) -> dict[Node, list[Variable]]:
    """Nodes whose parts, one after the other, are the new values of neighbouring variables; and those."""
    parts: dict[Node, list[Update]] = {}
    for variable, value in updates:
        parts.setdefault(viewed(value), []).append((variable, value))
    written = {}
    for node, pairs in parts.items():
        variables = [variable for variable, _ in pairs]
        if storage.joint(variables) is not None and _covers(node, [value for _, value in pairs]):
            written[node] = variables
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
                    root = viewed(source)
                    readers[root] = group if readers.get(root, group) is group else None
    return readers


def _reads_in_place(group: Group, results: Sequence[Node], written: Mapping[Node, list[Variable]]) -> bool:
    """Whether the group reads each variable that it writes only at the very element that it writes.

    Then no tile reads what an earlier tile wrote.
    """
    own = {variable for node in results for variable in written[node]}
    whole = [written[node] for node in results]
    for node in group:
        for source in node.inputs:
            read = variables_of(viewed(source))
            if own.isdisjoint(read):
                continue
            same_elements = prod(source.spec.sizes) == prod(node.spec.sizes)
            if source is not viewed(source) or read not in whole or not same_elements:
                return False
    return True


def _drop_conflicts(committed: dict[Group, list[Node]], written: Mapping[Node, list[Variable]]) -> None:
    """Take out the groups that write a variable which another of the groups reads."""
    reads = {
        group: {
            variable for node in group for source in node.inputs for variable in variables_of(viewed(source))
        }
        for group in committed
    }
    for group, results in list(committed.items()):
        own = {variable for node in results for variable in written[node]}
        if any(other is not group and not own.isdisjoint(reads[other]) for other in committed):
            del committed[group]
