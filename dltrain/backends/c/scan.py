"""Loops whose turns C makes: scan.c bound to the calls of a turn."""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

from dltrain.autodiff.loops.scan_op import Scan
from dltrain.autodiff.spec import Array
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import CallFields, CCall, is_contiguous
from dltrain.backends.c.threads import runtime_source
from dltrain.compiler.instructions import Instruction, Loop

INT64 = ctypes.c_int64
WITHIN_A_TURN = 2  # as in scan.c


class PlaceFields(ctypes.Structure):
    """`place` of scan.c."""

    _fields_ = (("before", INT64), ("array", INT64), ("step", INT64), ("own", ctypes.c_void_p * 2))


class CellFields(ctypes.Structure):
    """`cell` of scan.c."""

    _fields_ = (("pointer", ctypes.c_void_p), ("place", INT64), ("offset", INT64))


class LoopFields(ctypes.Structure):
    """`loop` of scan.c."""

    _fields_ = (
        ("calls", ctypes.c_void_p),
        *((name, INT64) for name in ("condition", "body", "end")),
        ("places", ctypes.c_void_p),
        *((name, INT64) for name in ("states", "results", "place_count")),
        ("cells", ctypes.c_void_p),
        ("cell_count", INT64),
        ("bytes", ctypes.c_void_p),
        *((name, INT64) for name in ("outputs", "length", "reverse", "count", "made")),
        ("going_on", ctypes.c_void_p),
        ("now", ctypes.c_void_p),
        *((name, INT64) for name in ("turns", "turn", "at", "paused")),
    )


class Place(NamedTuple):
    """`place` of scan.c, and a turn's own array, whose address calls are bound to."""

    turn: Array
    before: int = -1
    array: int = -1
    step: int = 0
    own: tuple[int, int] = (0, 0)

    @property
    def memory(self) -> range:
        """The addresses of the array's bytes."""
        first, array = self.turn.ctypes.data, self.turn
        steps = sum((size - 1) * step for size, step in zip(array.shape, array.strides, strict=True))
        return range(first, first + steps + array.itemsize if array.size else first)


@C.lowering(Scan)
def loop_call(work: Instruction, c: C) -> CCall | None:
    """The call that makes all turns, where C makes all calls of a turn."""
    assert work.loop is not None
    copies = [
        Instruction((copy,), {source: first, copy: state})
        for source, first, state in zip(work.node.inputs, work.inputs, work.loop.states, strict=False)
        if not is_contiguous(first) and (copy := source.copied(work.node.origin))
    ]
    parts = [[c.lower(each) for each in some] for some in (copies, work.loop.condition, work.loop.turn)]
    found = [[call for call in some if call] for some in parts]
    return LoopCall(work, work.loop, *found) if parts == found else None


class LoopCall(CCall):
    """A call of scan.c.

    Arguments:
        copies: of those first states that do not lie row by row.
        condition, turn: calls of the loop's instructions.
    """

    def __init__(
        self,
        work: Instruction,
        loop: Loop,
        copies: Sequence[CCall],
        condition: Sequence[CCall],
        turn: Sequence[CCall],
    ) -> None:
        super().__init__(work, "scan", runtime_source(), [*work.inputs, *work.outputs], refuses=True)
        assert isinstance(work.node.op, Scan)
        op, inputs = work.node.op, len(work.inputs)
        self._loop, self._made = loop, [*copies, *condition, *turn]
        self._places = _places(work, loop)
        self._bytes = (INT64 * len(loop.states))(*(state.nbytes for state in loop.states))
        self._now = (ctypes.c_void_p * len(self._places))()
        self._fields = LoopFields(
            condition=len(copies),
            body=len(copies) + len(condition),
            end=len(self._made),
            states=len(loop.states),
            results=len(loop.states) + len(loop.elements),
            place_count=len(self._places),
            bytes=ctypes.addressof(self._bytes),
            outputs=1 + inputs,
            length=loop.length,
            reverse=op.reverse,
            count=inputs if op.counted else -1,
            made=-1 if loop.going_on is None else len(self.arrays),
            going_on=None if loop.going_on is None else loop.going_on.ctypes.data,
            now=ctypes.addressof(self._now),
        )

    @property
    def written(self) -> str:
        return next((call.written for call in self._made if call.written), "")

    @property
    def all(self) -> Sequence[CCall]:
        return [*(each for call in self._made for each in call.all), self]

    def bind(self, library: ctypes.CDLL) -> None:
        """Once all its calls are."""
        super().bind(library)
        addresses = (ctypes.addressof(self._fields), *(array.ctypes.data for array in self.arrays))
        self.pointers = (ctypes.c_void_p * len(addresses))(*addresses)
        self.fields.pointers = ctypes.addressof(self.pointers)
        places = [
            PlaceFields(place.before, place.array, place.step, (ctypes.c_void_p * 2)(*place.own))
            for place in self._places
        ]
        self._calls = (CallFields * len(self._made))(*(call.fields for call in self._made))
        self._place_fields, cells = (PlaceFields * len(places))(*places), list(self._cells())
        self._cell_fields = (CellFields * len(cells))(*cells)
        self._fields.calls = ctypes.addressof(self._calls)
        self._fields.places = ctypes.addressof(self._place_fields)
        self._fields.cells, self._fields.cell_count = ctypes.addressof(self._cell_fields), len(cells)

    def after_refusal(self, number: int) -> int:
        """The same of that of its calls which has refused its input in this turn; the turn then goes on."""
        at: int = self._fields.at
        if self._made[at].after_refusal(number) > 0:  # else it is a loop that goes on by itself
            self._fields.at, self._fields.paused = at + 1, WITHIN_A_TURN
        return -number

    def _cells(self) -> Iterator[CellFields]:
        """The pointers of a turn's calls, and of theirs, that lead to what differs from turn to turn."""
        memory = [place.memory for place in self._places]
        own = sorted((each.start, each.stop, number) for number, each in enumerate(memory))
        for call in [inner for made in self._made[self._fields.condition :] for inner in made.all]:
            pointer = ctypes.addressof(call.pointers)
            for address in call.pointers:
                nearest = bisect_right(own, (address or 0, inf)) - 1
                if nearest >= 0 and address and address < own[nearest][1]:
                    yield CellFields(pointer, own[nearest][2], address - own[nearest][0])
                pointer += ctypes.sizeof(ctypes.c_void_p)


def _places(work: Instruction, loop: Loop) -> list[Place]:
    """Of the states, the elements, and all that a turn gives."""
    states, inputs, outputs = len(loop.states), len(work.inputs), work.outputs
    results = {
        output.ctypes.data: Place(output, array=1 + inputs + number, step=outputs[number].strides[0])
        for number, output in enumerate(loop.outputs, states)
    }
    for state, following in zip(loop.states, loop.next_states, strict=True):
        own = (following.ctypes.data, state.ctypes.data)
        results.setdefault(own[0], Place(following, own=own))
    numbers = {address: number for number, address in enumerate(results, states + len(loop.elements))}
    firsts = [
        Place(state, numbers[following.ctypes.data], 1 + number)
        if is_contiguous(work.inputs[number])
        else Place(state, numbers[following.ctypes.data], own=(state.ctypes.data, 0))
        for number, (state, following) in enumerate(zip(loop.states, loop.next_states, strict=True))
    ]
    elements = [
        Place(element, array=1 + number, step=work.inputs[number].strides[0])
        for number, element in enumerate(loop.elements, states)
    ]
    return [*firsts, *elements, *results.values()]
