"""Which instructions become which C functions: shared ones, large loops, and neighbours of all else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dltrain.autodiff.graph import Op
from dltrain.autodiff.ops.matmul import Matmul
from dltrain.autodiff.ops.random import DropoutMask
from dltrain.autodiff.spec import Array
from dltrain.backends.c.call import CCall, shared_call
from dltrain.backends.c.dropout import dropout_mask
from dltrain.backends.c.elementwise import has_expressions, is_large, write_copy, write_group
from dltrain.backends.c.function import CFunction
from dltrain.backends.c.products import product
from dltrain.backends.c.reductions import writer_for
from dltrain.compiler.guards import PART, SumsOfSquares
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
        if shared := _shared(instruction, arrays, threads):
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


def _squares(node: Node, arrays: Mapping[Node, Array], _: int) -> CCall | None:
    x, out = arrays[node.inputs[0]], arrays[node]
    if not x.flags.c_contiguous:
        return None
    return shared_call("squares", node, (x, out), (x.size,), out.size, PART=PART)


SHARED: dict[type[Op], Callable[[Node, Mapping[Node, Array], int], CCall | None]] = {
    Matmul: product,
    DropoutMask: dropout_mask,
    SumsOfSquares: _squares,
}
"""What makes the call of a shared function, for a number of threads; None where C does not do it."""


def _shared(instruction: Instruction, arrays: Mapping[Node, Array], threads: int) -> CCall | None:
    if isinstance(instruction, Copy):
        return None
    lower = SHARED.get(type(instruction[0].op))
    return lower(instruction[0], arrays, threads) if lower else None
