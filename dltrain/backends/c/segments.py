"""Which instructions become which C functions: shared ones, large loops, and neighbours of all else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dltrain.autodiff.ops.random import DropoutMask
from dltrain.autodiff.spec import Array
from dltrain.backends.c.dropout import dropout_mask
from dltrain.backends.c.elementwise import has_expressions, is_large, write_copy, write_group
from dltrain.backends.c.function import CFunction
from dltrain.backends.c.products import is_native_product, product
from dltrain.backends.c.reductions import writer_for
from dltrain.backends.c.shared import SharedCall
from dltrain.compiler.guards import SumsOfSquares
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import Node

LONGEST_SEGMENT = 16  # instructions: compilers take ever longer for longer functions, and short ones repeat


class Segment:
    """Instructions that one C function computes, one after the other; or a large loop that threads share."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.function = CFunction()
        self._length = 0

    @property
    def is_full(self) -> bool:
        return self._length >= LONGEST_SEGMENT or self.function.tasks > 1

    def take(self, instruction: Instruction, arrays: Mapping[Node, Array], *, split: bool = False) -> bool:
        """Add the instruction, if C can compute it; `split` into tasks."""
        if instruction.copy:
            write_copy(self.function, *instruction.copy)
        elif has_expressions(instruction.nodes):
            write_group(self.function, instruction.nodes, arrays, split=split)
        elif writer := writer_for(instruction.nodes[0], arrays):
            writer(self.function, instruction.nodes[0], arrays)
        else:
            return False
        self.nodes += instruction.nodes
        self._length += 1
        return True


class SharedPart(NamedTuple):
    """A node that a shared function computes."""

    node: Node
    call: SharedCall


Part = Segment | SharedPart | Instruction
"""What becomes one call; an instruction where only NumPy can compute it."""


def parts(phase: Sequence[Instruction], arrays: Mapping[Node, Array], threads: int) -> list[Part]:
    """The phase's instructions as parts, in order."""
    found: list[Part] = []
    for instruction in phase:
        if shared := _shared(instruction, arrays, threads):
            found.append(shared)
            continue
        split = not instruction.copy and is_large(instruction.nodes)
        last = found[-1] if found else None
        segment = last if isinstance(last, Segment) and not last.is_full and not split else Segment()
        if not segment.take(instruction, arrays, split=split):
            found.append(instruction)
        elif segment is not last:
            found.append(segment)
    return found


def _shared(instruction: Instruction, arrays: Mapping[Node, Array], threads: int) -> SharedPart | None:
    """The instruction as a call of a shared function, if there is one for it."""
    node = instruction.nodes[0]
    if instruction.copy:
        return None
    if is_native_product(node, arrays):
        return SharedPart(node, product(node, arrays, threads))
    if isinstance(node.op, DropoutMask):
        return SharedPart(node, dropout_mask(node, arrays))
    if isinstance(node.op, SumsOfSquares) and (x := arrays[node.inputs[0]]).flags.c_contiguous:
        out = arrays[node]
        return SharedPart(node, SharedCall("squares", (x, out), (x.size,), out.size))
    return None
