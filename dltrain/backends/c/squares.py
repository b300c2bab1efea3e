"""Sums of squares, which tell whether a vector is finite: squares.c."""

from __future__ import annotations

from dltrain.backends.c.backend import C
from dltrain.backends.c.call import CCall, call_of_file, is_contiguous
from dltrain.compiler.guards import PART, SumsOfSquares
from dltrain.compiler.instructions import Instruction


@C.lowering(SumsOfSquares)
def squares(work: Instruction, _: C) -> CCall | None:
    """The call of squares.c, a task a part; of a contiguous vector."""
    (x,), (out,) = work.inputs, work.outputs
    if not is_contiguous(x):
        return None
    return call_of_file(work, "squares.c", "squares", [x, out], [x.size], out.size, PART=PART)
