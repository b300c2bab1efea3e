"""Loops: the turns of a loop, made one by one from Python, where no backend makes them itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from dltrain.autodiff.loops.scan_op import Scan
from dltrain.autodiff.spec import Array
from dltrain.backends.backend import Backend, Call, Table, assembled, call_of
from dltrain.compiler.instructions import Instruction, Loop
from dltrain.compiler.ir import KernelError
from dltrain.errors import GraphError


class Loops(Backend):
    """Makes turns; what a turn computes is left to other backends.

    Attributes:
        backends: those, and this one.
    """

    name = "loops"
    lowering: ClassVar[Table[Callable[[Instruction, Loops], list[Call]]]] = Table()

    def __init__(self, backends: Sequence[Backend]) -> None:
        self.backends = [*backends, self]


@Loops.lowering(Scan)
def turns(work: Instruction, loops: Loops) -> list[Call]:
    """The call that makes all turns."""
    loop = work.loop
    assert loop is not None
    turn, condition = assembled([loop.turn, loop.condition], loops.backends, loops.scratch)
    return [call_of(work, Turns(work, loop, turn, condition))]


class Turns:
    """All turns of a loop, as a function without arguments.

    Arguments:
        turn, condition: the calls of the loop's instructions.
    """

    def __init__(
        self, work: Instruction, loop: Loop, turn: Sequence[Call], condition: Sequence[Call]
    ) -> None:
        assert isinstance(work.node.op, Scan)
        op, inputs, outputs = work.node.op, work.inputs, [work.arrays[node] for node in work.nodes]
        states = len(loop.states)
        self._loop, self._turn, self._condition = loop, turn, condition
        self._reverse, self._count = op.reverse, inputs[-1] if op.counted else None
        self._first = list(zip(loop.states, inputs, strict=False))
        self._elements = list(zip(loop.elements, inputs[states:], strict=False))
        self._following = list(zip(loop.states, loop.next_states, strict=True))
        self._stacked = list(zip(outputs[states:], loop.outputs, strict=False))
        self._last = list(zip(outputs, loop.states, strict=False))
        self._made = None if loop.going_on is None else outputs[-1]

    def __call__(self) -> None:
        loop = self._loop
        _copy(self._first)
        turns = range(loop.length if self._count is None else int(self._count))
        if len(turns) < loop.length or self._condition:
            for stack, _ in self._stacked:
                stack.fill(0)
        made = 0
        for turn in reversed(turns) if self._reverse else turns:
            _copy([(element, sequence[turn, ...]) for element, sequence in self._elements])
            _run(self._condition)
            if not (loop.going_on is None or loop.going_on):
                break
            _run(self._turn)
            _copy([(stack[turn, ...], output) for stack, output in self._stacked])
            _copy(self._following)
            made += 1
        _copy(self._last)
        if self._made is not None:
            self._made[...] = made


def _copy(pairs: Sequence[tuple[Array, Array]]) -> None:
    for target, source in pairs:
        np.copyto(target, source)


def _run(calls: Sequence[Call]) -> None:
    for call in calls:
        try:
            call.run()
        except GraphError as error:
            raise KernelError(call.nodes[0], error) from None
