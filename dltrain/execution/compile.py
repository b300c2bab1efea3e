"""The compiler: program to plan. What lies where is planned without memory; backends make calls of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from dltrain.autodiff.dimensions import bound
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.layout import Layout
from dltrain.autodiff.loops.scan_op import Scan
from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Array
from dltrain.backends.backend import Backend, assembled, fuses
from dltrain.backends.memory import array_of
from dltrain.backends.scratch import Scratch
from dltrain.compiler.buffers import Block, Buffer
from dltrain.compiler.instructions import Instruction, Loop
from dltrain.compiler.ir import Node, lower
from dltrain.compiler.planning import Planned, planned
from dltrain.compiler.schedule import Fuses, Group
from dltrain.compiler.storage import Storage
from dltrain.errors import GraphError
from dltrain.execution.feeds import require_memory
from dltrain.execution.loops import Loops
from dltrain.execution.plan import Plan


def compile_plan(
    program: Program,
    sizes: Mapping[str, int],
    storage: Storage,
    passes: frozenset[str],
    backends: Sequence[Backend],
    given: Mapping[Tensor, Array] = MappingProxyType({}),
) -> Plan:
    """The plan of a program for one set of sizes.

    Arguments:
        sizes: of the named dimensions.
        storage: has memory for all variables of the graph.
        passes: names out of `PASSES`.
        backends: the first that computes an instruction does.
        given: arrays that are the memory of inputs; see `require_memory`.

    Raises:
        GraphError: a placeholder is not fed, a named dimension has no size, an array does not fit, no backend
            computes an op.
        CompilerError: the C compiler refused.
        StorageError: the cache of native kernels cannot be used.
    """
    for tensor, array in given.items():
        require_memory(tensor, array, tensor.spec.bind(sizes).sizes)
    inputs = [Buffer.of(tensor.spec.bind(sizes), given.get(tensor)) for tensor in program.inputs]
    planner = _Planner(sizes, storage, passes, partial(fuses, backends))
    made = planner.planned(program, inputs)
    arrays = {node: array_of(buffer) for node, buffer in made.buffers.items()}
    phases = [planner.instructions(groups, made, arrays) for groups in (made.compute, made.commit)]
    scratch = Scratch()
    compute, commit = assembled(phases, [*backends, Loops(backends)], scratch)
    return Plan(
        inputs=tuple(arrays[node] for node in made.program.inputs if node.origin not in given),
        fetches=tuple(arrays[node] for node in made.program.fetches),
        phases=(compute, commit),
        guards=tuple(
            (tensor, arrays[node], arrays[summary])
            for (tensor, node), summary in zip(made.program.guards, made.summaries, strict=True)
        ),
        buffers=made.bytes + sum(loop.bytes for loop in planner.loops),
        scratch=scratch.bytes,
    )


@dataclass
class _Planner:
    """Plans a program, and the bodies of its loops.

    Attributes:
        loops: those planned so far.
    """

    sizes: Mapping[str, int]
    storage: Storage
    passes: frozenset[str]
    fuses: Fuses
    loops: list[Loop] = field(default_factory=list)

    def planned(
        self, program: Program, inputs: Sequence[Buffer] = (), fetches: Sequence[Buffer] = ()
    ) -> Planned:
        """See `planned`."""
        lowered = lower(program, self.sizes)
        return planned(lowered, self.storage, self.passes, inputs, fetches, fuses=self.fuses)

    def instructions(
        self, groups: Sequence[Group], made: Planned, arrays: Mapping[Node, Array]
    ) -> list[Instruction]:
        """Those that compute the groups of a plan."""
        return [Instruction(group, arrays, self._loop(group, made)) for group in groups]

    def _loop(self, group: Group, outside: Planned) -> Loop | None:
        """Where the group is a loop, its turns, planned.

        Raises:
            GraphError: its length has no size.
        """
        node = group[0]
        if not isinstance(op := node.op, Scan):
            return None
        length = bound(op.length, self.sizes)
        if not isinstance(length, int):
            raise GraphError(
                f"the length {length} of {op.label} has no size",
                where=node.origin.source,
                fix="feed a placeholder that has this dimension",
            )
        body, given = op.body, [outside.buffers[source] for source in node.inputs]
        end = len(body.states) + len(body.elements)
        states = [Buffer.of(source.spec) for source in node.inputs[: len(body.states)]]
        elements = [_slot(sequence) for sequence in given[len(body.states) : end]]
        inputs = [*states, *elements, *given[end : len(op.given)]]
        results = self._memory((*body.next_states, *op.outputs))
        for tensor, stack in zip(op.outputs, group[len(body.states) :], strict=False):
            for sequence, element in zip(given[len(body.states) :], elements, strict=False):
                if outside.buffers[stack].overlaps(sequence):  # so do its slots
                    results[tensor] = element.at(Layout.contiguous(results[tensor].layout.shape))
        ending = self._memory(() if body.going_on is None else (body.going_on,))
        turn, condition = (self._body(op, some, inputs) for some in (results, ending))
        own = [*states, *elements, *results.values(), *ending.values()]
        loop = Loop(
            length=length,
            states=[array_of(state) for state in states],
            elements=[array_of(element) for element in elements],
            next_states=[array_of(results[tensor]) for tensor in body.next_states],
            outputs=[array_of(results[tensor]) for tensor in op.outputs],
            turn=turn[0],
            condition=condition[0],
            going_on=next(map(array_of, ending.values()), None),
            bytes=turn[1] + condition[1] + sum(buffer.block.nbytes for buffer in own),
        )
        self.loops.append(loop)
        return loop

    def _memory(self, results: Sequence[Tensor]) -> dict[Tensor, Buffer]:
        """A block of its own for each."""
        return {tensor: Buffer.of(tensor.spec.bind(self.sizes)) for tensor in results}

    def _body(
        self, op: Scan, results: Mapping[Tensor, Buffer], inputs: Sequence[Buffer]
    ) -> tuple[list[Instruction], int]:
        """What computes results of a turn, and the bytes that this takes besides."""
        made = self.planned(Program(op.given, tuple(results)), inputs, list(results.values()))
        arrays = {node: array_of(buffer) for node, buffer in made.buffers.items()}
        return self.instructions(made.compute, made, arrays), made.bytes


def _slot(sequence: Buffer) -> Buffer:
    """A block for one element, with the strides that it has in the sequence."""
    layout = Layout(sequence.layout.shape[1:], sequence.layout.strides[1:])
    return Buffer(Block(layout.end * sequence.dtype.itemsize), layout, sequence.dtype)
