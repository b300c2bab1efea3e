"""Order along an axis: argsort.c."""

from __future__ import annotations

from math import ceil, prod

import numpy as np

from dltrain.autodiff.ops.sorting import Argsort
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import C_TYPES, CCall, c_text, is_contiguous
from dltrain.compiler.instructions import Instruction

TASK_NUMBERS = 2_048
TASKS_A_THREAD = 8  # each has a spare line
FEWEST_LINES = 16  # side by side: no two tasks write to one line of the cache
KEYS = {8: "uint64_t", 4: "uint32_t", 1: "uint8_t"}  # by the bytes of what is sorted


@C.lowering(Argsort)
def argsort(work: Instruction, c: C) -> CCall | None:
    """The call of argsort.c, some lines along the axis a task; of a contiguous array."""
    op, (x,), (out,) = work.node.op, work.inputs, work.outputs
    assert isinstance(op, Argsort)
    if not out.size or not is_contiguous(x):
        return None
    count, after = x.shape[op.axis], prod(x.shape[op.axis + 1 :])
    lines = x.size // count
    each = max(TASK_NUMBERS // count, min(after, FEWEST_LINES), ceil(lines / (TASKS_A_THREAD * c.threads)))
    tasks = ceil(lines / each)
    constants = {
        "NUMBER": C_TYPES[x.dtype],
        "KEY": KEYS[x.dtype.itemsize],
        "IS_FLOAT": int(x.dtype.kind == "f"),
        "IS_SIGNED": int(x.dtype == np.int64),
        "DESCENDING": int(op.descending),
    }
    source = "".join(f"#define {name} {value}\n" for name, value in constants.items()) + c_text("argsort.c")
    keys = c.scratch.array(0, (tasks, count), np.dtype(f"u{x.itemsize}"))
    places = c.scratch.array(1, (tasks, count), np.dtype(np.int64))
    return CCall(work, "argsort", source, [x, out, keys, places], (count, after, lines, each), tasks)
