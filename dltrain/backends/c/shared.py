"""Calls of the C functions that all plans share: they lie beside this file, once a type of number."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from math import ceil, prod
from typing import Any

import numpy as np

from dltrain.autodiff.graph import Op
from dltrain.autodiff.ops.matmul import Matmul
from dltrain.autodiff.ops.random import DropoutMask
from dltrain.autodiff.spec import Array
from dltrain.backends.c.call import C_TYPES, CCall, c_text
from dltrain.compiler.guards import PART, SumsOfSquares
from dltrain.compiler.ir import Node

LANES = 16  # float32 numbers in the widest registers; a tile of the result is twice as wide
TASK_OPERATIONS = 1e6  # floating-point operations that are worth a task of their own: some 5 microseconds
TASKS_A_THREAD = 8  # so that who is done early has something to take from the others
TASK_DRAWS = 4096  # each decides on an element
DRAWS_OF_A_WORD = 4  # those of the first word are not used: it rounds the threshold


def shared_call(node: Node, arrays: Mapping[Node, Array], threads: int) -> CCall | None:
    """The call for a node, cut for so many threads; None if there is none that computes it."""
    lower = LOWERINGS.get(type(node.op))
    return lower(node, arrays, threads) if lower else None


def _product(node: Node, arrays: Mapping[Node, Array], threads: int) -> CCall | None:
    """The call of product.c, cut for so many threads; of matrices, or stacks of them, into contiguous memory.

    Its numbers are of a and of b the strides between matrices, rows and columns, in elements; rows, inner,
    columns; rows and columns of a task.
    """
    assert isinstance(node.op, Matmul)
    out, operands = arrays[node], [arrays[source] for source in node.inputs]
    are_stacks = out.ndim <= 3 or all(
        array.ndim == 2 or (array.shape[:-2] == out.shape[:-2] and array.flags.c_contiguous)
        for array in operands
    )
    if out.size == 0 or not out.flags.c_contiguous or not are_stacks:
        return None
    a, b = (array.reshape(prod(array.shape[:-2]), *array.shape[-2:]) for array in operands)
    a = a.swapaxes(1, 2) if node.op.transpose_a else a
    b = b.swapaxes(1, 2) if node.op.transpose_b else b
    stack, rows, inner, columns = prod(out.shape[:-2]), *a.shape[1:], b.shape[2]
    a, b = np.broadcast_to(a, (stack, rows, inner)), np.broadcast_to(b, (stack, inner, columns))
    task_rows, task_columns = _cut(stack, rows, inner, columns, threads)
    strides = [stride // array.itemsize for array in (a, b) for stride in array.strides]
    return _call(
        "product",
        node,
        (a, b, out),
        (*strides, rows, inner, columns, task_rows, task_columns),
        stack * ceil(rows / task_rows) * ceil(columns / task_columns),
    )


def _cut(stack: int, rows: int, inner: int, columns: int, threads: int) -> tuple[int, int]:
    """Rows and columns of a task. No number of the result depends on them."""
    operations = 2.0 * rows * (inner + 1) * LANES * ceil(columns / LANES)
    wanted = threads * min(ceil(operations / TASK_OPERATIONS / threads), ceil(TASKS_A_THREAD / stack))
    panels = ceil(columns / (2 * LANES))
    task_columns = 2 * LANES * max(1, panels // wanted)
    across = ceil(columns / task_columns)
    down = 1 if across >= 2 * threads else max(1, wanted // across)
    return ceil(rows / down), task_columns


def _dropout(node: Node, arrays: Mapping[Node, Array], _: int) -> CCall:
    """The call of dropout.c. Its numbers are seed, stream, the bits of the rate, elements."""
    assert isinstance(node.op, DropoutMask)
    out = arrays[node]
    words = struct.pack("=QQd", node.op.seed, node.op.stream, node.op.rate)
    numbers = (*struct.unpack("=qqq", words), out.size)
    tasks = ceil((DRAWS_OF_A_WORD + out.size) / TASK_DRAWS)
    constants = {"TASK_DRAWS": TASK_DRAWS, "DRAWS_OF_A_WORD": DRAWS_OF_A_WORD}
    return _call("dropout", node, (arrays[node.inputs[0]], out), numbers, tasks, **constants)


def _squares(node: Node, arrays: Mapping[Node, Array], _: int) -> CCall | None:
    x, out = arrays[node.inputs[0]], arrays[node]
    if not x.flags.c_contiguous:
        return None
    return _call("squares", node, (x, out), (x.size,), out.size, PART=PART)


LOWERINGS: dict[type[Op], Callable[[Node, Mapping[Node, Array], int], CCall | None]] = {
    Matmul: _product,
    DropoutMask: _dropout,
    SumsOfSquares: _squares,
}


def _call(
    name: str, node: Node, arrays: Sequence[Array], numbers: Sequence[int], tasks: int, **constants: Any
) -> CCall:
    """A call of the function in `name`.c.

    Arguments:
        arrays: that it is called with, what it writes last.
        constants: what the C has for these names, besides REAL, the type.
    """
    constants["REAL"] = C_TYPES[arrays[-1].dtype]
    head = "".join(f"#define {constant} {value}\n" for constant, value in constants.items())
    return CCall(name, head + c_text(f"{name}.c"), [node], list(arrays), [arrays[-1]], list(numbers), tasks)
