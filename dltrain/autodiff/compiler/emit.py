"""From steps with arrays to instructions, and from those to calls of NumPy's kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from dltrain.autodiff.compiler.commit import Update
from dltrain.autodiff.compiler.ir import Node
from dltrain.autodiff.compiler.plan import NodesCall
from dltrain.autodiff.compiler.schedule import Step
from dltrain.autodiff.compiler.tiles import Scratch, group_calls, kernel_call
from dltrain.autodiff.ops.bases import Elementwise, View
from dltrain.autodiff.ops.slices import Pack
from dltrain.autodiff.spec import Array
from dltrain.autodiff.storage import Storage


@dataclass(frozen=True)
class Instruction:
    """Nodes of a step to be computed; or, where `copy` is (source, target), a copy that belongs to one."""

    nodes: Step
    copy: tuple[Array, Array] | None = None


def instructions(steps: Sequence[Step], arrays: Mapping[Node, Array]) -> list[Instruction]:
    """What the steps come to; a result that is in place already needs nothing."""
    result: list[Instruction] = []
    for step in steps:
        node = step[0]
        if isinstance(node.op, Pack):
            result += _pack_copies(node, arrays)
        elif not isinstance(node.op, View):
            result.append(Instruction(step))
        elif not _is_view(node, arrays):
            source = node.op.view(arrays[node.inputs[0]], node.spec.sizes)
            if np.may_share_memory(source, arrays[node.inputs[0]]):
                result.append(Instruction(step, (source, arrays[node])))
            else:
                result.append(Instruction(step))  # NumPy makes the copy each time
    return result


def commit_instructions(
    updates: Sequence[Update], arrays: Mapping[Node, Array], storage: Storage
) -> list[Instruction]:
    """Copies of the new values into those variables that no group writes itself."""
    return [
        Instruction((value,), (arrays[value], storage.array(variable)))
        for variable, value in updates
        if not _is_same_memory(storage.array(variable), arrays[value])
    ]


def numpy_calls(
    listed: Sequence[Instruction], arrays: Mapping[Node, Array], scratch: Scratch
) -> list[NodesCall]:
    """The kernel calls of the instructions in order."""
    calls: list[NodesCall] = []
    for instruction in listed:
        node = instruction.nodes[0]
        if instruction.copy:
            source, target = instruction.copy
            calls.append(NodesCall((node,), partial(np.copyto, target, source), (node,), (target,)))
        elif isinstance(node.op, Elementwise):
            calls += (
                NodesCall((part,), call, instruction.nodes, (out,))
                for part, call, out in group_calls(instruction.nodes, arrays, scratch)
            )
        else:
            inputs = [arrays[source] for source in node.inputs]
            out = arrays[node]
            calls.append(NodesCall((node,), kernel_call(node, inputs, out), (node,), (out,)))
    return calls


def _pack_copies(node: Node, arrays: Mapping[Node, Array]) -> list[Instruction]:
    copies: list[Instruction] = []
    start = 0
    for source in node.inputs:
        size = prod(source.spec.sizes)
        part = arrays[node][start : start + size].reshape(source.spec.sizes)
        if not _is_same_memory(part, arrays[source]):
            copies.append(Instruction((node,), (arrays[source], part)))
        start += size
    return copies


def _is_view(node: Node, arrays: Mapping[Node, Array]) -> bool:
    return arrays[node].size == 0 or np.may_share_memory(arrays[node], arrays[node.inputs[0]])


def _is_same_memory(one: Array, other: Array) -> bool:
    return (one.ctypes.data, one.shape, one.strides) == (other.ctypes.data, other.shape, other.strides)
