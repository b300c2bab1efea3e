"""C loops for elementwise groups: everything between the inputs and the results stays in registers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from math import prod

import numpy as np

from dltrain.autodiff.ops.bases import Elementwise
from dltrain.autodiff.spec import Array
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import C_TYPES, CCall
from dltrain.backends.c.function import CFunction
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import Copy, Node

TASK_ELEMENTS = 8192  # numbers of a task: some microseconds

Strides = tuple[int, ...]  # of one array, in elements, one for each loop; 0 where it is broadcast


@C.lowering(Elementwise, Copy)
def group_call(work: Instruction, _: C) -> CCall | None:
    """The call of a loop over the group; a large one is cut into tasks."""
    if not all(node.op.is_elementwise and node.op.expression() for node in work.nodes):
        return None
    function = CFunction(work)
    split = prod(work.nodes[0].spec.sizes) >= 2 * TASK_ELEMENTS
    write_group(function, work.nodes, work.arrays, split=split)
    return function


def write_group(
    function: CFunction, group: Sequence[Node], arrays: Mapping[Node, Array], *, split: bool = False
) -> None:
    """Write the loops that compute the group's nodes.

    Arguments:
        arrays: of the group's inputs and of those of its nodes that are read elsewhere.
        split: into tasks, which makes it all that the function does.
    """
    members = set(group)
    inputs = list(dict.fromkeys(s for node in group for s in node.inputs if s not in members))
    results = [node for node in group if node in arrays]
    shape = group[0].spec.sizes
    if 0 in shape:
        return
    loops, strides = merged_loops(shape, [np.broadcast_to(arrays[n], shape) for n in (*inputs, *results)])
    with function.block(), ExitStack() as nest:
        sizes = [function.size(size) for size in loops]
        places = {
            node: _Place(function, arrays[node], its_strides, write=node in members)
            for node, its_strides in zip((*inputs, *results), strides, strict=True)
        }
        values: dict[Node, str] = {}
        indices: list[str] = []
        for depth in range(len(loops) + 1):
            for node in inputs:
                if places[node].depth == depth:
                    values[node] = _constant(function, node, places[node].element(indices))
            if depth < len(loops):
                innermost = depth == len(loops) - 1
                if split and depth == 0:
                    each = max(1, TASK_ELEMENTS // prod(loops[1:]))
                    indices.append(nest.enter_context(function.split_loop(loops[0], each)))
                else:
                    indices.append(nest.enter_context(function.loop(sizes[depth], parallel=innermost)))
        for node in group:
            values[node] = _constant(function, node, _expression(node, values))
        for node in results:
            function.line(f"{places[node].element(indices)} = {values[node]};")


def merged_loops(shape: Sequence[int], arrays: Sequence[Array]) -> tuple[list[int], list[Strides]]:
    """The sizes of the fewest loops that visit all elements of all arrays, and each array's strides in them.

    Dimensions of size 1 need no loop, and neighbouring ones over which all arrays step evenly need only one.
    """
    strides = [[stride // array.itemsize for stride in array.strides] for array in arrays]
    loops: list[int] = []
    merged: list[list[int]] = [[] for _ in arrays]
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        if loops and all(m[-1] == s[axis] * size for m, s in zip(merged, strides, strict=True)):
            loops[-1] *= size
            for m, s in zip(merged, strides, strict=True):
                m[-1] = s[axis]
        else:
            loops.append(size)
            for m, s in zip(merged, strides, strict=True):
                m.append(s[axis])
    return loops, [tuple(m) for m in merged]


class _Place:
    """How the loops reach an array's elements.

    Attributes:
        depth: the number of loops in which the address still changes.
    """

    def __init__(self, function: CFunction, array: Array, strides: Strides, *, write: bool) -> None:
        self._pointer = function.pointer(array, write=write)
        # 0 and 1 are part of the structure; other strides are arguments.
        self._strides = [str(s) if s in (0, 1) else function.size(s) for s in strides]
        self.depth = max((loop + 1 for loop, stride in enumerate(strides) if stride), default=0)

    def element(self, indices: Sequence[str]) -> str:
        terms = [
            index if stride == "1" else f"{index} * {stride}"
            for index, stride in zip(indices, self._strides, strict=False)
            if stride != "0"
        ]
        return f"{self._pointer}[{' + '.join(terms) or '0'}]"


def _constant(function: CFunction, node: Node, value: str) -> str:
    name = function.new_name("v")
    function.line(f"const {C_TYPES[node.spec.dtype]} {name} = {value};")
    return name


def _expression(node: Node, values: Mapping[Node, str]) -> str:
    template = node.op.expression()
    assert template is not None
    suffix = "f" if node.inputs[0].spec.dtype == np.float32 else ""
    inputs = [values[source] for source in node.inputs]
    return template.format(*inputs, T=C_TYPES[node.spec.dtype], F=suffix)
