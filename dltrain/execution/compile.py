"""The compiler: program to plan, in passes that each keep the results.

lower (prune, bind sizes) -> fold constants -> rewrite -> merge -> reassociate -> copies -> schedule -> group
elementwise -> direct commits -> memory -> calls of backends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dltrain.autodiff.program import Program
from dltrain.backends.backend import Backend, assembled
from dltrain.backends.memory import array_of
from dltrain.backends.scratch import Scratch
from dltrain.compiler.commit import commit_copies, direct_targets
from dltrain.compiler.copies import with_copies
from dltrain.compiler.fold_constants import fold_constants
from dltrain.compiler.guards import summarized
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import lower
from dltrain.compiler.memory import Memory
from dltrain.compiler.merge import merge
from dltrain.compiler.reassociate import reassociate
from dltrain.compiler.rewrite import rewrite
from dltrain.compiler.schedule import group_elementwise, schedule
from dltrain.compiler.storage import Storage
from dltrain.execution.plan import Plan

GRAPH_PASSES = {
    "fold_constants": fold_constants,
    "rewrite": rewrite,
    "merge": merge,
    "reassociate": reassociate,
}

PASSES = frozenset({*GRAPH_PASSES, "group_elementwise", "direct_commit", "share_memory"})
"""The passes that can be left out, by name; what stays makes the same results, slower."""


def compile_plan(
    program: Program,
    sizes: Mapping[str, int],
    storage: Storage,
    passes: frozenset[str],
    backends: Sequence[Backend],
) -> Plan:
    """The plan of a program for one set of sizes.

    Arguments:
        sizes: of the named dimensions.
        storage: has memory for all variables of the graph.
        passes: names out of `PASSES`.
        backends: the first that computes an instruction does.

    Raises:
        GraphError: a placeholder is not fed, a named dimension has no size, no backend computes an op.
        CompilerError: the C compiler refused.
        StorageError: the cache of native kernels cannot be used.
    """
    lowered = lower(program, sizes)
    for name, graph_pass in GRAPH_PASSES.items():
        if name in passes:
            lowered = graph_pass(lowered)
    share = "share_memory" in passes
    lowered, places = with_copies(lowered, storage, share)
    summaries = [summarized(guard) for guard in lowered.guarded]
    groups = schedule([*lowered.results, *summaries])
    if "group_elementwise" in passes:
        groups = group_elementwise(groups)
    groups = [group for group in groups if group[0].is_computed]  # a join is computed by its inputs
    targets = direct_targets(groups, lowered, places, storage) if "direct_commit" in passes else {}
    committed = [group for group in groups if any(node in targets for node in group)]
    computed = [group for group in groups if not any(node in targets for node in group)]
    kept = [*lowered.results, *summaries, *lowered.inputs]
    memory = Memory([*computed, *committed], kept, targets, places, storage, share)
    copies = commit_copies(lowered.updates, memory.buffers, storage)
    arrays = {node: array_of(buffer) for node, buffer in (*memory.buffers.items(), *copies.items())}
    scratch = Scratch()
    phases = [computed, [*committed, *((copy,) for copy in copies)]]
    compute, commit = assembled(
        [[Instruction(group, arrays) for group in phase] for phase in phases], backends, scratch
    )
    return Plan(
        inputs=tuple(arrays[node] for node in lowered.inputs),
        fetches=tuple(arrays[node] for node in lowered.fetches),
        phases=(compute, commit),
        guards=tuple(
            (tensor, arrays[node], arrays[summary])
            for (tensor, node), summary in zip(lowered.guards, summaries, strict=True)
        ),
        buffers=memory.bytes,
        scratch=scratch.bytes,
    )
