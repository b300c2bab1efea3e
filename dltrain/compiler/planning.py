"""Planning: a program becomes groups of nodes in order, with the memory that they read and write.

fold constants -> rewrite -> merge -> unite -> prune -> reassociate -> copies -> schedule -> group elementwise
-> fuse reductions -> direct commits -> memory. Each pass keeps the results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from dltrain.compiler.buffers import Buffer
from dltrain.compiler.commit import commit_copies, direct_targets
from dltrain.compiler.copies import with_copies
from dltrain.compiler.fold_constants import fold_constants
from dltrain.compiler.guards import summarized
from dltrain.compiler.ir import Lowered, Node
from dltrain.compiler.memory import Memory
from dltrain.compiler.merge import merge
from dltrain.compiler.prune import prune
from dltrain.compiler.reassociate import reassociate
from dltrain.compiler.rewrite import rewrite
from dltrain.compiler.schedule import Fuses, Group, fuse_reductions, group_elementwise, schedule
from dltrain.compiler.storage import Storage
from dltrain.compiler.unite import unite

GRAPH_PASSES = {
    "fold_constants": fold_constants,
    "rewrite": rewrite,
    "merge": merge,
    "unite": unite,
    "prune": prune,
    "reassociate": reassociate,
}

PASSES = frozenset({*GRAPH_PASSES, "group_elementwise", "fuse_reductions", "direct_commit", "share_memory"})
"""The passes that can be left out, by name; what stays makes the same results, slower."""


@dataclass(frozen=True)
class Planned:
    """A program, planned.

    Attributes:
        program: what is left of it.
        summaries: of its guards.
        compute, commit: the groups of the two phases.
        buffers: of all nodes that are read or written outside of their group.
        bytes: of the blocks that are for this plan alone.
    """

    program: Lowered
    summaries: Sequence[Node]
    compute: Sequence[Group]
    commit: Sequence[Group]
    buffers: dict[Node, Buffer]
    bytes: int


def planned(
    program: Lowered,
    storage: Storage,
    passes: frozenset[str],
    inputs: Sequence[Buffer] = (),
    fetches: Sequence[Buffer] = (),
    *,
    fuses: Fuses = attrgetter("is_elementwise"),
) -> Planned:
    """Plan a program.

    Arguments:
        storage: where its variables lie.
        passes: names out of `PASSES`.
        inputs: where the program's lie; default each in a block of its own.
        fetches: where the program's are to lie: in memory that nothing else lies in but perhaps inputs, which
            they overwrite once these are read. Default anywhere.
        fuses: whether who computes an op does so in groups; default elementwise ones.

    Raises:
        GraphError: a view of what does not exist, in a dimension that had a name until now.
    """
    for name, graph_pass in GRAPH_PASSES.items():
        if name in passes:
            program = graph_pass(program)
    share = "share_memory" in passes
    given = dict(zip(program.inputs, inputs, strict=False))
    overwritten = [_overlapping(buffer, program.inputs, inputs) for buffer in fetches]
    if any(overwritten):  # what is fetched of inputs is read before they are overwritten
        is_input = [node.viewed in program.inputs for node in program.fetches]
        pairs = zip(program.fetches, is_input, strict=True)
        read = tuple([node.copied(node.origin) if of_input else node for node, of_input in pairs])
        program = replace(program, fetches=read)
    program, places = with_copies(program, storage, given, share)
    summaries = [summarized(guard) for guard in program.guarded]
    groups = schedule([*program.results, *summaries])
    if "group_elementwise" in passes:
        groups = list(group_elementwise(groups, fuses))
    if "fuse_reductions" in passes:
        groups = fuse_reductions(groups, fuses)
    groups = [group for group in groups if group[0].is_computed]  # a join is computed by its inputs
    targets = direct_targets(groups, program, places, storage) if "direct_commit" in passes else {}
    committed = [group for group in groups if any(node in targets for node in group)]
    computed = [group for group in groups if not any(node in targets for node in group)]
    numbers = {node: number for number, group in enumerate(computed) for node in group}
    last_read = {source.viewed: numbers[node] for node in numbers for source in node.inputs}
    for node, buffer, inputs_there in zip(program.fetches, fetches, overwritten, strict=False):
        is_made = node.is_computed or (node.op.is_join and storage.read(node) is None)
        fits = buffer.is_contiguous or node.op.is_elementwise
        if is_made and node not in places and fits:
            begin = _first_group(node, numbers)
            if all(last_read.get(source, -1) < begin for source in inputs_there):
                given.setdefault(node, buffer)
    kept = [*program.results, *summaries, *program.inputs]
    memory = Memory([*computed, *committed], kept, {**given, **targets}, places, storage, share)
    buffers = memory.buffers
    assert all(  # as an `Instruction` promises
        node.op.is_elementwise or buffers[node].is_contiguous
        for group in groups
        for node in group
        if node in buffers
    )
    fetch_copies = {
        node.copied(node.origin): buffer
        for node, buffer in zip(program.fetches, fetches, strict=False)
        if buffers[node] != buffer
    }
    copies = commit_copies(program.updates, buffers, storage)
    return Planned(
        program=program,
        summaries=summaries,
        compute=[*computed, *((copy,) for copy in fetch_copies)],
        commit=[*committed, *((copy,) for copy in copies)],
        buffers={**buffers, **fetch_copies, **copies},
        bytes=memory.bytes,
    )


def _overlapping(buffer: Buffer, inputs: Sequence[Node], places: Sequence[Buffer]) -> list[Node]:
    return [node for node, place in zip(inputs, places, strict=False) if place.overlaps(buffer)]


def _first_group(node: Node, numbers: Mapping[Node, int]) -> int:
    """The number of the first one that writes in the node's memory."""
    return min(_first_group(part, numbers) for part in node.inputs) if node.op.is_join else numbers[node]
