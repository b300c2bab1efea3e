"""Choosing by integers: gather.c."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

from dltrain.autodiff.ops.gather import AddAlongAxis, Gather, ScatterAdd, TakeAlongAxis
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import CCall, call_of_file, is_contiguous
from dltrain.compiler.instructions import Instruction

TASK_NUMBERS = 16_384  # read or written in a task
FEWEST_LINES = 16  # side by side: no two tasks write to one line of the cache


@C.lowering(Gather, TakeAlongAxis)
def take(work: Instruction, _: C) -> CCall | None:
    """The call of `take`, a number of rows a task; of contiguous inputs."""
    op, (x, indices), (out,) = work.node.op, work.inputs, work.outputs
    assert isinstance(op, Gather | TakeAlongAxis)
    if not out.size or not all(map(is_contiguous, work.inputs)):
        return None
    along = isinstance(op, TakeAlongAxis)
    count = indices.shape[op.axis] if along else indices.size
    after = prod(x.shape[op.axis + 1 :])
    rows, each = out.size // after, ceil(TASK_NUMBERS / after)
    return _call(work, "take", (count, x.shape[op.axis], after, rows, each), ceil(rows / each), along)


@C.lowering(ScatterAdd, AddAlongAxis)
def add(work: Instruction, _: C) -> CCall | None:
    """The call of `add`, some lines along the axis a task; of contiguous inputs."""
    op, indices, (out,) = work.node.op, work.inputs[1], work.outputs
    assert isinstance(op, ScatterAdd | AddAlongAxis)
    if not out.size or not all(map(is_contiguous, work.inputs)):
        return None
    along = isinstance(op, AddAlongAxis)
    count = indices.shape[op.axis] if along else indices.size
    before, size, after = prod(out.shape[: op.axis]), out.shape[op.axis], prod(out.shape[op.axis + 1 :])
    lines, each = before * after, max(FEWEST_LINES, TASK_NUMBERS // (size + count))
    return _call(work, "add", (count, size, after, lines, each), ceil(lines / each), along)


def _call(work: Instruction, name: str, numbers: Sequence[int], tasks: int, along: bool) -> CCall:
    arrays = [*work.inputs, *work.outputs]
    return call_of_file(work, "gather.c", name, arrays, numbers, tasks, refuses=True, ALONG=int(along))
