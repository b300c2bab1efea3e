"""C loops for elementwise groups: everything between the inputs and the results stays in registers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from math import prod

import numpy as np

from dltrain.autodiff.ops.bases import Elementwise
from dltrain.autodiff.spec import Array
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import C_TYPES, CCall
from dltrain.backends.c.function import CFunction
from dltrain.backends.c.loops import SHORT, Place, broadcast_strides, merged_loops
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import Copy, Node

TASK_ELEMENTS = 8192  # numbers of a task: some microseconds


@C.lowering(Elementwise, Copy)
def group_call(work: Instruction, _: C) -> CCall | None:
    """The call of a loop over the group; a large one is cut into tasks."""
    if not has_expressions(work.nodes):
        return None
    function = CFunction(work)
    split = prod(work.nodes[0].spec.sizes) >= 2 * TASK_ELEMENTS
    write_group(function, work.nodes, work.arrays, split=split)
    return function


def has_expressions(group: Iterable[Node]) -> bool:
    """Whether every op of the group is elementwise and knows its function in C."""
    return all(node.op.is_elementwise and node.op.expression() for node in group)


def write_group(
    function: CFunction, group: Sequence[Node], arrays: Mapping[Node, Array], *, split: bool = False
) -> None:
    """Write the loops that compute the group's nodes.

    Arguments:
        arrays: of the group's inputs and of those of its nodes that are read elsewhere.
        split: into tasks, which makes it all that the function does.
    """
    inputs, results = outside(group), [node for node in group if node in arrays]
    shape = group[0].spec.sizes
    if 0 in shape:
        return
    loops = merged_loops(shape, [broadcast_strides(arrays[n], len(shape)) for n in (*inputs, *results)])
    with function.block(), ExitStack() as nest:
        sizes = [function.size(loop.size) for loop in loops]
        unrolled = len(loops) - 1 if len(loops) > 1 and loops[-1].size <= SHORT else None
        places = {
            node: Place(
                function, arrays[node], tuple([loop.strides[k] for loop in loops]), write=node in group
            )
            for k, node in enumerate((*inputs, *results))
        }
        values: dict[Node, str] = {}
        indices: list[str] = []
        for depth in range(len(loops) + 1):
            for node in inputs:
                if places[node].depth == depth:
                    values[node] = write_value(function, node, places[node].element(indices))
            if depth < len(loops):
                if split and depth == 0:
                    each = max(1, TASK_ELEMENTS // prod(loop.size for loop in loops[1:]))
                    loop = function.split_loop(loops[0].size, each)
                elif depth == unrolled:
                    loop = function.loop(str(loops[depth].size), unroll=True)
                else:
                    loop = function.loop(sizes[depth], parallel=True)
                indices.append(nest.enter_context(loop))
        write_expressions(function, group, values)
        for node in results:
            function.line(f"{places[node].element(indices)} = {values[node]};")


def outside(group: Iterable[Node]) -> list[Node]:
    """What the group's nodes read that is not of the group."""
    members = set(group)
    return list(dict.fromkeys(source for node in group for source in node.inputs if source not in members))


def write_value(function: CFunction, node: Node, value: str) -> str:
    """Give the node's number at the loops' place a name."""
    name = function.new_name("v")
    function.line(f"const {C_TYPES[node.spec.dtype]} {name} = {value};")
    return name


def write_expressions(function: CFunction, group: Iterable[Node], values: dict[Node, str]) -> None:
    """Compute the nodes' numbers at one place from those of `values`, which gets them too."""
    for node in group:
        template = node.op.expression()
        assert template is not None
        suffix = "f" if node.inputs[0].spec.dtype == np.float32 else ""
        inputs = [values[source] for source in node.inputs]
        expression = template.format(*inputs, T=C_TYPES[node.spec.dtype], F=suffix)
        values[node] = write_value(function, node, expression)
