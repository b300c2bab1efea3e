"""From instructions to calls: neighbouring ones that C can compute become one native call."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from dltrain.autodiff.compiler.emit import Instruction, numpy_calls
from dltrain.autodiff.compiler.ir import KernelError, Node
from dltrain.autodiff.compiler.native.elementwise import has_expressions, write_copy, write_group
from dltrain.autodiff.compiler.native.function import CFunction
from dltrain.autodiff.compiler.native.library import PRELUDE, load
from dltrain.autodiff.compiler.native.reductions import writer_for
from dltrain.autodiff.compiler.plan import NodesCall
from dltrain.autodiff.compiler.tiles import Call, Scratch, kernel_call
from dltrain.autodiff.spec import Array
from dltrain.errors import GraphError

Phase = Sequence[Instruction]

LONGEST_SEGMENT = 16  # instructions: compilers take ever longer for longer functions, and short ones repeat


def native_calls(
    phases: Sequence[Phase], arrays: Mapping[Node, Array], scratch: Scratch, compiler: str
) -> tuple[list[list[NodesCall]], str]:
    """The calls of each phase in order, and the C that they call.

    What C cannot compute is a call of NumPy's kernel.

    Raises:
        GraphError: the compiler refused.
        StorageError: the kernel cache cannot be used.
    """
    parts = [_parts(phase, arrays) for phase in phases]
    segments = [part for phase in parts for part in phase if isinstance(part, _Segment)]
    names: dict[str, str] = {}  # by the function's body: layers of one kind share it
    for segment in segments:
        names.setdefault(segment.function.body, f"segment{len(names)}")
    helpers = sorted({helper for segment in segments for helper in segment.function.helpers})
    text = "\n".join(helpers) + "\n".join(
        f"int64_t {name}(char **p, const int64_t *n) {body}" for body, name in names.items()
    )
    library = load(text, compiler) if segments else None
    calls: list[list[NodesCall]] = []
    for phase in parts:
        calls.append([])
        for part in phase:
            if isinstance(part, _Segment):
                name = names[part.function.body]
                nodes, writes = tuple(part.nodes), tuple(part.function.written)
                call = part.bound(getattr(library, name), arrays)
                calls[-1].append(NodesCall(nodes, call, nodes, writes, name))
            else:
                calls[-1] += numpy_calls([part], arrays, scratch)
    return calls, PRELUDE + text if segments else ""


def _parts(phase: Phase, arrays: Mapping[Node, Array]) -> list[_Segment | Instruction]:
    parts: list[_Segment | Instruction] = []
    for instruction in phase:
        last = parts[-1] if parts else None
        segment = last if isinstance(last, _Segment) and last.length < LONGEST_SEGMENT else _Segment()
        if not segment.take(instruction, arrays):
            parts.append(instruction)
        elif segment is not last:
            parts.append(segment)
    return parts


class _Segment:
    """Instructions that one C function computes, one after the other."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.length = 0
        self.function = CFunction()

    def take(self, instruction: Instruction, arrays: Mapping[Node, Array]) -> bool:
        """Add the instruction, if C can compute it."""
        node = instruction.nodes[0]
        if instruction.copy:
            write_copy(self.function, *instruction.copy)
        elif has_expressions(instruction.nodes):
            write_group(self.function, instruction.nodes, arrays)
        elif writer := writer_for(node, arrays):
            writer(self.function, node, arrays)
        else:
            return False
        self.nodes += instruction.nodes
        self.length += 1
        return True

    def bound(self, entry: Any, arrays: Mapping[Node, Array]) -> Call:
        """The call of the compiled function with its arrays and sizes."""
        function = self.function
        entry.restype = ctypes.c_int64
        pointers = (ctypes.c_void_p * len(function.arrays))(*(a.ctypes.data for a in function.arrays))
        sizes = (ctypes.c_int64 * len(function.sizes))(*function.sizes)
        call = partial(entry, pointers, sizes)
        if not function.checked:
            return call

        def checked() -> None:
            if failed := call():
                node = function.checked[failed - 1]
                try:
                    kernel_call(node, [arrays[source] for source in node.inputs], arrays[node])()
                except GraphError as error:  # NumPy's kernel says what is wrong
                    raise KernelError(node, error) from None

        return checked
