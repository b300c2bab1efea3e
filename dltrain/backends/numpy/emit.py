"""From instructions to calls of NumPy's kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dltrain.autodiff.ops.bases import Elementwise
from dltrain.autodiff.spec import Array
from dltrain.backends.calls import NodesCall
from dltrain.backends.numpy.tiles import Scratch, copy_call, group_calls, kernel_call
from dltrain.compiler.instructions import Copy, Instruction
from dltrain.compiler.ir import Node


def numpy_calls(
    listed: Sequence[Instruction], arrays: Mapping[Node, Array], scratch: Scratch
) -> list[NodesCall]:
    """The kernel calls of the instructions in order."""
    calls: list[NodesCall] = []
    for instruction in listed:
        if isinstance(instruction, Copy):
            node, source, target = instruction.node, instruction.source, instruction.target
            calls.append(NodesCall((node,), copy_call(source, target), (node,), (target,)))
        elif isinstance(instruction[0].op, Elementwise):
            calls += (
                NodesCall((part,), call, instruction, (out,))
                for part, call, out in group_calls(instruction, arrays, scratch)
            )
        else:
            (node,) = instruction
            calls.append(NodesCall((node,), kernel_call(node, arrays), (node,), (arrays[node],)))
    return calls
