"""The compiler: program to plan. What lies where is planned without memory; backends make calls of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dltrain.autodiff.program import Program
from dltrain.backends.backend import Backend, assembled
from dltrain.backends.memory import array_of
from dltrain.backends.scratch import Scratch
from dltrain.compiler.buffers import Buffer
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import lower
from dltrain.compiler.planning import planned
from dltrain.compiler.storage import Storage
from dltrain.execution.loops import Loops
from dltrain.execution.plan import Plan


def compile_plan(
    program: Program,
    sizes: Mapping[str, int],
    storage: Storage,
    passes: frozenset[str],
    backends: Sequence[Backend],
    *,
    apart: bool = False,
) -> Plan:
    """The plan of a program for one set of sizes.

    Arguments:
        sizes: of the named dimensions.
        storage: has memory for all variables of the graph.
        passes: names out of `PASSES`.
        backends: the first that computes an instruction does.
        apart: whether what it fetches is to lie in memory that nothing else lies in, its inputs neither.

    Raises:
        GraphError: a placeholder is not fed, a named dimension has no size, no backend computes an op.
        CompilerError: the C compiler refused.
        StorageError: the cache of native kernels cannot be used.
    """
    lowered = lower(program, sizes)
    fetches = [Buffer.of(node.spec) for node in lowered.fetches] if apart else []
    made = planned(lowered, storage, passes, fetches=fetches, fuse=backends[0].fuses_reductions)
    arrays = {node: array_of(buffer) for node, buffer in made.buffers.items()}
    scratch = Scratch()
    phases = [[Instruction(group, arrays) for group in phase] for phase in (made.compute, made.commit)]
    loops = Loops(lambda body: compile_plan(body, sizes, storage, passes, backends, apart=True), sizes)
    compute, commit = assembled(phases, [loops, *backends], scratch)
    fetched = fetches or [made.buffers[node] for node in made.program.fetches]
    return Plan(
        inputs=tuple(arrays[node] for node in made.program.inputs),
        fetches=tuple(array_of(buffer) for buffer in fetched),
        phases=(compute, commit),
        guards=tuple(
            (tensor, arrays[node], arrays[summary])
            for (tensor, node), summary in zip(made.program.guards, made.summaries, strict=True)
        ),
        buffers=made.bytes + loops.bytes,
        scratch=scratch.bytes,
    )
