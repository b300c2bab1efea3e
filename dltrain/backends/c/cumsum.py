"""The cumulative sum: cumsum.c."""

from __future__ import annotations

from math import ceil, prod

from dltrain.autodiff.ops.cumulative import Cumsum
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import CCall, call_of_file, is_contiguous
from dltrain.compiler.instructions import Instruction

TASK_NUMBERS = 16_384
FEWEST_LINES = 16  # side by side: no two tasks write to one line of the cache


@C.lowering(Cumsum)
def cumsum(work: Instruction, _: C) -> CCall | None:
    """The call of cumsum.c, some lines along the axis a task; of a contiguous array."""
    op, (x,), (out,) = work.node.op, work.inputs, work.outputs
    assert isinstance(op, Cumsum)
    if not out.size or not is_contiguous(x):
        return None
    count, after = x.shape[op.axis], prod(x.shape[op.axis + 1 :])
    lines, each = x.size // count, max(FEWEST_LINES, TASK_NUMBERS // count)
    numbers = (count, after, lines, each, op.reverse, op.exclusive)
    return call_of_file(work, "cumsum.c", "cumsum", [x, out], numbers, ceil(lines / each))
