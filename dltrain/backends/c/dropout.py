"""Dropout's mask: dropout.c, with the bits of NumPy's Philox."""

from __future__ import annotations

import struct
from math import ceil

from dltrain.autodiff.ops.random import DropoutMask
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import CCall, call_of_file
from dltrain.compiler.instructions import Instruction

TASK_DRAWS = 4096  # each decides on an element
DRAWS_OF_A_WORD = 4  # those of the first word are not used: it rounds the threshold


@C.lowering(DropoutMask)
def dropout(work: Instruction, _: C) -> CCall:
    """The call of dropout.c. Its numbers are seed, stream, the bits of the rate, elements."""
    op, (step,), (out,) = work.node.op, work.inputs, work.outputs
    assert isinstance(op, DropoutMask)
    numbers = (*struct.unpack("=qqq", struct.pack("=QQd", op.seed, op.stream, op.rate)), out.size)
    tasks = ceil((DRAWS_OF_A_WORD + out.size) / TASK_DRAWS)
    return call_of_file(
        work, "dropout", [step, out], numbers, tasks, TASK_DRAWS=TASK_DRAWS, DRAWS_OF_A_WORD=DRAWS_OF_A_WORD
    )
