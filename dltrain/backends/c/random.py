"""Random numbers with the bits of NumPy's: random.c."""

from __future__ import annotations

import struct
from math import ceil

import numpy as np

from dltrain.autodiff.ops.random import DropoutMask, Random, RandomUniform
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import CCall, call_of_file
from dltrain.compiler.instructions import Instruction

TASK_WORDS = 1024  # of 64 random bits
DRAWS_OF_A_WORD = 4  # of a mask; those of the first word are not used: it rounds the threshold


@C.lowering(DropoutMask)
def dropout(work: Instruction, _: C) -> CCall:
    """The call of `dropout`. Its numbers are seed, stream, the bits of the rate, elements."""
    op, (out,) = work.node.op, work.outputs
    assert isinstance(op, DropoutMask)
    return _call(work, "dropout", op, (op.rate,), ceil(out.size / DRAWS_OF_A_WORD) + 1)


@C.lowering(RandomUniform)
def uniform(work: Instruction, _: C) -> CCall:
    """The call of `uniform`. Its numbers are seed, stream, the bits of the three that say where, elements."""
    op, (out,) = work.node.op, work.outputs
    assert isinstance(op, RandomUniform)
    greatest = np.nextafter(out.dtype.type(op.high), out.dtype.type(op.low))
    range_ = (op.high - op.low, op.low, float(greatest))
    return _call(work, "uniform", op, range_, ceil(out.nbytes / 8))


def _call(work: Instruction, name: str, op: Random, reals: tuple[float, ...], words: int) -> CCall:
    arrays = [*work.inputs, *work.outputs]
    packed = struct.pack(f"=QQ{len(reals)}d", op.seed, op.stream, *reals)
    numbers = (*struct.unpack(f"={2 + len(reals)}q", packed), work.outputs[0].size)
    tasks = ceil(words / TASK_WORDS)
    return call_of_file(
        work, "random.c", name, arrays, numbers, tasks, TASK_WORDS=TASK_WORDS, DRAWS_OF_A_WORD=DRAWS_OF_A_WORD
    )
