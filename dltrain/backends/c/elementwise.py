"""C loops for elementwise groups: everything between the inputs and the results stays in registers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from math import ceil, prod

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
FEW_TASKS = 16  # so many may be smaller, where each number takes longer
TASK_WORK = 3 * TASK_ELEMENTS  # numbers that such a task reads and writes
FUNCTION = 4  # numbers that are read and written in the time of one of the C library's functions, as exp
LANES = 64  # a task has a multiple of so many, so that vectors are whole


@C.lowering(Elementwise, Copy)
def group_call(work: Instruction, _: C) -> CCall | None:
    """The call of a loop over the group; a large one is cut into tasks."""
    if not has_expressions(work.nodes):
        return None
    function = CFunction(work)
    numbers, each = prod(work.nodes[0].spec.sizes), _numbers_of_a_task(work)
    write_group(function, work.nodes, work.arrays, each=each if numbers >= 2 * each else 0)
    return function


def _numbers_of_a_task(work: Instruction) -> int:
    """Fewer where each is computed from many or takes functions, as those of a recurrent network's gates."""
    arrays = len(outside(work.nodes)) + len(work.outputs)
    functions = sum((node.op.expression() or "").count("{F}(") for node in work.nodes)
    fewest = max(TASK_WORK // (arrays + FUNCTION * functions), prod(work.nodes[0].spec.sizes) // FEW_TASKS)
    return min(TASK_ELEMENTS, ceil(fewest / LANES) * LANES)


def has_expressions(group: Iterable[Node]) -> bool:
    """Whether every op of the group is elementwise and knows its function in C."""
    return all(node.op.is_elementwise and node.op.expression() for node in group)


def write_group(
    function: CFunction, group: Sequence[Node], arrays: Mapping[Node, Array], *, each: int = 0
) -> None:
    """Write the loops that compute the group's nodes.

    Arguments:
        arrays: of the group's inputs and of those of its nodes that are read elsewhere.
        each: numbers of a task, which makes it all that the function does; 0: there are no tasks.
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
                if each and depth == 0:
                    turns = max(1, each // prod(loop.size for loop in loops[1:]))
                    loop = function.split_loop(loops[0].size, turns)
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
