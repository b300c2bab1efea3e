"""Loops: a body is compiled once, as a plan of its own, and run once a turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dltrain.autodiff.dimensions import bound
from dltrain.autodiff.loops.scan_op import Scan
from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Array
from dltrain.backends.backend import Backend, Call, Table, call_of
from dltrain.backends.scratch import Scratch
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import KernelError
from dltrain.errors import GraphError
from dltrain.execution.plan import Plan


class Loops(Backend):
    """Makes turns of a plan; what a turn computes is left to other backends.

    Arguments:
        compiled: gives the plan of a program, whose results lie apart from all else.
        sizes: of the named dimensions.
    """

    name = ""
    lowering = Table[Any]()

    def __init__(self, compiled: Callable[[Program], Plan], sizes: Mapping[str, int]) -> None:
        self.compiled, self.sizes = compiled, sizes
        self.bytes = 0  # of the bodies' plans

    def lower(self, work: Instruction, _: Scratch) -> list[Call] | None:
        lowering = self._lowering(work)
        return lowering(work, self) if lowering else None

    def body(self, op: Scan, results: Sequence[Any]) -> Plan:
        """The plan of results of a turn."""
        plan = self.compiled(Program(op.given, tuple(results)))
        self.bytes += plan.bytes + sum(array.nbytes for array in plan.inputs)
        return plan


@Loops.lowering(Scan)
def turns_of(work: Instruction, loops: Loops) -> list[Call]:
    """The call that makes all turns of a loop."""
    assert isinstance(work.node.op, Scan)
    op = work.node.op
    length = bound(op.length, loops.sizes)
    if not isinstance(length, int):
        raise GraphError(
            f"the length {length} of {op.label} has no size",
            where=work.node.origin.source,
            fix="feed a placeholder that has this dimension",
        )
    body = loops.body(op, (*op.body.next_states, *op.outputs))
    condition = None if op.body.going_on is None else loops.body(op, [op.body.going_on])
    outputs = [work.arrays[node] for node in work.nodes]
    return [call_of(work, Turns(op, length, body, condition, work.inputs, outputs))]


class Turns:
    """All turns of a loop, as a function without arguments.

    Arguments:
        length: the most turns that are made.
        body, condition: plans of what a turn gives, and of whether another one is made.
        inputs, outputs: of the loop.
    """

    def __init__(
        self,
        op: Scan,
        length: int,
        body: Plan,
        condition: Plan | None,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
    ) -> None:
        states = len(op.body.states)
        elements = slice(states, states + len(op.body.elements))
        stacks = outputs[states : states + len(op.outputs)]
        self._op, self._count = op, inputs[-1] if op.counted else None
        self._length = length
        self._plans = [body, *([condition] if condition else [])]
        self._condition, self._made = condition, outputs[-1] if condition else None
        self._first = list(zip(inputs[:states], *[plan.inputs[:states] for plan in self._plans], strict=True))
        self._captured = [
            pair
            for plan in self._plans
            for pair in zip(inputs[elements.stop :], plan.inputs[elements.stop :], strict=False)
        ]
        self._elements = list(zip(inputs[elements], body.inputs[elements], strict=True))
        given = body.inputs[:states]
        self._following = list(zip(given, body.fetches[:states], strict=True))
        self._stacked = list(zip(stacks, body.fetches[states:], strict=True))
        self._last = list(zip(outputs[:states], given, strict=True))
        self._body = body

    def __call__(self) -> None:
        for first, *places in self._first:
            for place in places:
                np.copyto(place, first)
        for captured, place in self._captured:
            np.copyto(place, captured)
        turns = range(self._length if self._count is None else int(self._count))
        if len(turns) < self._length or self._condition:
            for stack, _ in self._stacked:
                stack.fill(0)
        made = 0
        for turn in reversed(turns) if self._op.reverse else turns:
            if self._condition and not self._goes_on():
                break
            for sequence, element in self._elements:
                np.copyto(element, sequence[turn])
            _run(self._body)
            for stack, result in self._stacked:
                stack[turn] = result
            for state, following in self._following:
                np.copyto(state, following)
            made += 1
        for target, state in self._last:
            np.copyto(target, state)
        if self._made is not None:
            self._made[...] = made

    def _goes_on(self) -> bool:
        condition = self._condition
        assert condition is not None
        for place, (state, _) in zip(condition.inputs, self._following, strict=False):
            np.copyto(place, state)
        _run(condition)
        return bool(condition.fetches[0])


def _run(plan: Plan) -> None:
    for call in plan.phases[0]:
        try:
            call.run()
        except GraphError as error:
            raise KernelError(call.nodes[0], error) from None
