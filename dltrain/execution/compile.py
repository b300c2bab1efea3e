"""The compiler: graph to plan, in passes that each keep the results.

lower (prune, bind sizes) -> fold constants -> rewrite -> merge -> reassociate -> schedule -> group
elementwise -> direct commits -> memory -> emit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dltrain.autodiff.graph import Tensor, Variable
from dltrain.autodiff.spec import Array
from dltrain.backends.c.compiler import Compiler
from dltrain.backends.c.emit import native_code
from dltrain.backends.numpy.emit import numpy_calls
from dltrain.backends.numpy.tiles import Scratch
from dltrain.compiler.commit import direct_targets, variables_of, viewed
from dltrain.compiler.fold_constants import fold_constants
from dltrain.compiler.instructions import commit_instructions, instructions
from dltrain.compiler.ir import Copy, Node, lower
from dltrain.compiler.memory import allocate
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
    fetches: Sequence[Tensor],
    updates: Sequence[tuple[Variable, Tensor]],
    fed: Sequence[Tensor],
    guards: Sequence[Tensor],
    sizes: Mapping[str, int],
    storage: Storage,
    passes: frozenset[str] = PASSES,
    c_compiler: Compiler | None = None,
) -> Plan:
    """The plan of one run.

    Arguments:
        fetches: tensors whose values the run returns.
        updates: pairs of variable and new value, committed last.
        fed: tensors whose values the run is given, in this order.
        guards: tensors that must be finite for the commit to happen.
        sizes: of the named dimensions.
        storage: has memory for all variables of the graph.
        passes: names out of `PASSES`.
        c_compiler: of native kernels; without it all kernels are NumPy's.

    Raises:
        GraphError: a placeholder is not fed, a named dimension has no size.
        CompilerError: the C compiler refused.
        StorageError: the cache of native kernels cannot be used.
    """
    outputs = lower([*fetches, *(value for _, value in updates), *guards, *fed], fed, sizes)
    placeholders = outputs[len(outputs) - len(fed) :]
    outputs = outputs[: len(outputs) - len(fed)]
    for name, graph_pass in GRAPH_PASSES.items():
        if name in passes:
            outputs = graph_pass(outputs)
    fetched = outputs[: len(fetches)]
    new_values = outputs[len(fetches) : len(fetches) + len(updates)]
    guarded = outputs[len(fetches) + len(updates) :]
    pairs = [(variable, _settled(value)) for (variable, _), value in zip(updates, new_values, strict=True)]
    kept = [*fetched, *guarded, *(value for _, value in pairs)]
    steps = schedule(kept)
    if "group_elementwise" in passes:
        steps = group_elementwise(steps)
    targets: dict[Node, Array] = {}
    if "direct_commit" in passes:
        targets = direct_targets(steps, pairs, [*fetched, *guarded], storage)
    computed = [step for step in steps if not any(viewed(node) in targets for node in step)]
    committed = [step for step in steps if any(viewed(node) in targets for node in step)]
    arrays, buffers = allocate(
        [*computed, *committed], [*kept, *placeholders], targets, storage, share="share_memory" in passes
    )
    scratch = Scratch()
    phases = [
        instructions(computed, arrays),
        instructions(committed, arrays) + commit_instructions(pairs, arrays, storage),
    ]
    if c_compiler is None:
        calls = joined = [numpy_calls(phase, arrays, scratch) for phase in phases]
        source = ""
    else:
        calls, joined, source = native_code(phases, arrays, scratch, c_compiler)
    compute, commit = calls
    return Plan(
        inputs=tuple(arrays[node] for node in placeholders),
        fetches=tuple(arrays[node] for node in fetched),
        compute=tuple(compute),
        commit=tuple(commit),
        joined=(tuple(joined[0]), tuple(joined[1])),
        guards=tuple((tensor, arrays[node]) for tensor, node in zip(guards, guarded, strict=True)),
        buffers=buffers,
        scratch=scratch.bytes,
        source=source,
    )


def _settled(value: Node) -> Node:
    """A new value that is no variable's own memory: a copy is computed before anything is committed."""
    if variables_of(viewed(value)):
        return Node(Copy(), (value,), value.spec, value.origin)
    return value


__all__ = ["PASSES", "Plan", "compile_plan"]
