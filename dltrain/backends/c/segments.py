"""Which instructions become which C functions: shared ones, large loops, and neighbours of all else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dltrain.autodiff.spec import Array
from dltrain.backends.c.call import CCall
from dltrain.backends.c.elementwise import has_expressions, is_large, write_copy, write_group
from dltrain.backends.c.function import CFunction
from dltrain.backends.c.reductions import writer_for
from dltrain.backends.c.shared import shared_call
from dltrain.compiler.instructions import Copy, Instruction
from dltrain.compiler.ir import Node

LONGEST_SEGMENT = 16  # instructions: compilers take ever longer for longer functions, and short ones repeat


def c_calls(
    phase: Sequence[Instruction], arrays: Mapping[Node, Array], threads: int
) -> list[CCall | Instruction]:
    """The phase's instructions as calls in order; what only NumPy can compute stays an instruction.

    A large loop is a function of its own, which threads share; all else that neighbours is in one function.
    """
    found: list[CCall | Instruction] = []
    length = 0  # of the function that is being written
    for instruction in phase:
        if not isinstance(instruction, Copy) and (shared := shared_call(instruction[0], arrays, threads)):
            found.append(shared)
            continue
        split = not isinstance(instruction, Copy) and is_large(instruction)
        last = found[-1] if found else None
        if not isinstance(last, CFunction) or last.tasks > 1 or length == LONGEST_SEGMENT or split:
            function, length = CFunction(), 0
        else:
            function = last
        if not _write(function, instruction, arrays, split=split):
            found.append(instruction)
        elif function is not last:
            found.append(function)
        length += 1
    return found


def _write(
    function: CFunction, instruction: Instruction, arrays: Mapping[Node, Array], *, split: bool
) -> bool:
    """Have the function compute the instruction, if C can."""
    if isinstance(instruction, Copy):
        write_copy(function, instruction.source, instruction.target)
        function.nodes.append(instruction.node)
        return True
    if has_expressions(instruction):
        write_group(function, instruction, arrays, split=split)
    elif len(instruction) == 1 and (writer := writer_for(instruction[0], arrays)):
        writer(function, instruction[0], arrays)
    else:
        return False
    function.nodes += instruction
    return True
