"""The compiler: program to plan, in passes that each keep the results.

lower (prune, bind sizes) -> fold constants -> rewrite -> merge -> reassociate -> schedule -> group
elementwise -> direct commits -> memory -> emit.
"""

from __future__ import annotations

from collections.abc import Mapping

from dltrain.autodiff.program import Program
from dltrain.backends.c.compiler import Compiler
from dltrain.backends.c.emit import native_code
from dltrain.backends.numpy.emit import Scratch, numpy_calls
from dltrain.compiler.commit import copy_variables, direct_targets
from dltrain.compiler.fold_constants import fold_constants
from dltrain.compiler.guards import summarized
from dltrain.compiler.instructions import commit_instructions, instructions
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
    passes: frozenset[str] = PASSES,
    c_compiler: Compiler | None = None,
) -> Plan:
    """The plan of a program for one set of sizes.

    Arguments:
        sizes: of the named dimensions.
        storage: has memory for all variables of the graph.
        passes: names out of `PASSES`.
        c_compiler: of native kernels; without it all kernels are NumPy's.

    Raises:
        GraphError: a placeholder is not fed, a named dimension has no size.
        CompilerError: the C compiler refused.
        StorageError: the cache of native kernels cannot be used.
    """
    lowered = lower(program, sizes)
    for name, graph_pass in GRAPH_PASSES.items():
        if name in passes:
            lowered = graph_pass(lowered)
    lowered = copy_variables(lowered, storage)
    summaries = [summarized(guard) for guard in lowered.guarded]
    groups = schedule([*lowered.results, *summaries])
    if "group_elementwise" in passes:
        groups = group_elementwise(groups)
    targets = direct_targets(groups, lowered, storage) if "direct_commit" in passes else {}
    committed = [group for group in groups if any(node.viewed in targets for node in group)]
    computed = [group for group in groups if not any(node.viewed in targets for node in group)]
    kept = [*lowered.results, *summaries, *lowered.inputs]
    memory = Memory([*computed, *committed], kept, targets, storage, share="share_memory" in passes)
    arrays = memory.arrays
    scratch = Scratch()
    phases = [
        instructions(computed, arrays),
        instructions(committed, arrays) + commit_instructions(lowered.updates, arrays, storage),
    ]
    if c_compiler is None:
        by_numpy = [numpy_calls(phase, arrays, scratch) for phase in phases]
        phase_calls, source = list(zip(by_numpy, by_numpy, strict=True)), ""
    else:
        phase_calls, source = native_code(phases, arrays, scratch, c_compiler)
    (compute, joined_compute), (commit, joined_commit) = phase_calls
    return Plan(
        inputs=tuple(arrays[node] for node in lowered.inputs),
        fetches=tuple(arrays[node] for node in lowered.fetches),
        compute=tuple(compute),
        commit=tuple(commit),
        joined=(tuple(joined_compute), tuple(joined_commit)),
        guards=tuple(
            (tensor, arrays[node], arrays[summary])
            for (tensor, node), summary in zip(lowered.guards, summaries, strict=True)
        ),
        buffers=memory.bytes,
        scratch=scratch.bytes,
        source=source,
    )
