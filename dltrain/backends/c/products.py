"""Matrix products in C: which ones, and into which tasks they are cut."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, prod

from dltrain.autodiff.ops.matmul import Matmul
from dltrain.autodiff.spec import Array
from dltrain.backends.c.call import CCall, shared_call
from dltrain.compiler.ir import Node

LANES = 16  # float32 numbers in the widest registers; a tile of the result is twice as wide
TASK_OPERATIONS = 1e6  # floating-point operations that are worth a task of their own: some 5 microseconds
TASKS_A_THREAD = 8  # so that who is done early has something to take from the others


def product(node: Node, arrays: Mapping[Node, Array], threads: int) -> CCall | None:
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
    a, b = map(_one_stack, operands)
    a = a.swapaxes(-1, -2) if node.op.transpose_a else a
    b = b.swapaxes(-1, -2) if node.op.transpose_b else b
    stack = prod(out.shape[:-2])
    rows, inner, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    task_rows, task_columns = _cut(stack, rows, inner, columns, threads)
    strides = [
        stride // array.itemsize
        for array in (a, b)
        for stride in (_between_matrices(array), *array.strides[-2:])
    ]
    return shared_call(
        "product",
        node,
        (a, b, out),
        (*strides, rows, inner, columns, task_rows, task_columns),
        stack * ceil(rows / task_rows) * ceil(columns / task_columns),
    )


def _one_stack(array: Array) -> Array:
    """A stack of stacks of matrices as one stack; anything else as it is."""
    return array.reshape(-1, *array.shape[-2:]) if array.ndim > 3 else array


def _between_matrices(array: Array) -> int:
    """Bytes from a matrix of the stack to the next; 0 where one matrix is used again and again."""
    return array.strides[0] if array.ndim == 3 and array.shape[0] > 1 else 0


def _cut(stack: int, rows: int, inner: int, columns: int, threads: int) -> tuple[int, int]:
    """Rows and columns of a task. No number of the result depends on them."""
    operations = 2.0 * rows * (inner + 1) * LANES * ceil(columns / LANES)
    wanted = threads * min(ceil(operations / TASK_OPERATIONS / threads), ceil(TASKS_A_THREAD / stack))
    panels = ceil(columns / (2 * LANES))
    task_columns = 2 * LANES * max(1, panels // wanted)
    across = ceil(columns / task_columns)
    down = 1 if across >= 2 * threads else max(1, wanted // across)
    return ceil(rows / down), task_columns
