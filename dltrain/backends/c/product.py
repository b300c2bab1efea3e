"""The matrix product: product.c cut into tasks."""

from __future__ import annotations

from math import ceil, prod

import numpy as np

from dltrain.autodiff.ops.matmul import Matmul
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import CCall, call_of_file, is_contiguous
from dltrain.compiler.instructions import Instruction

LANES = 16  # float32 numbers in the widest registers; a tile of the result is twice as wide
TASK_OPERATIONS = 1e6  # floating-point operations that are worth a task of their own: some 5 microseconds
TASKS_A_THREAD = 8  # so that who is done early has something to take from the others


@C.lowering(Matmul)
def product(work: Instruction, c: C) -> CCall | None:
    """The call of product.c; of matrices, or stacks of them, into contiguous memory.

    Its numbers are of a and of b the strides between matrices, rows and columns, in elements; rows, inner,
    columns; rows and columns of a task.
    """
    node, operands, (out,) = work.node, work.inputs, work.outputs
    assert isinstance(node.op, Matmul)
    are_stacks = out.ndim <= 3 or all(
        array.ndim == 2 or (array.shape[:-2] == out.shape[:-2] and is_contiguous(array)) for array in operands
    )
    if out.size == 0 or not is_contiguous(out) or not are_stacks:
        return None
    a, b = (array.reshape(prod(array.shape[:-2]), *array.shape[-2:]) for array in operands)
    a = a.swapaxes(1, 2) if node.op.transpose_a else a
    b = b.swapaxes(1, 2) if node.op.transpose_b else b
    stack, rows, inner, columns = prod(out.shape[:-2]), *a.shape[1:], b.shape[2]
    a, b = np.broadcast_to(a, (stack, rows, inner)), np.broadcast_to(b, (stack, inner, columns))
    task_rows, task_columns = _cut(stack, rows, inner, columns, c.threads)
    strides = [stride // array.itemsize for array in (a, b) for stride in array.strides]
    numbers = (*strides, rows, inner, columns, task_rows, task_columns)
    tasks = stack * ceil(rows / task_rows) * ceil(columns / task_columns)
    return call_of_file(work, "product.c", "product", [*operands, out], numbers, tasks)


def _cut(stack: int, rows: int, inner: int, columns: int, threads: int) -> tuple[int, int]:
    """Rows and columns of a task. No number of the result depends on them."""
    operations = 2.0 * rows * (inner + 1) * LANES * ceil(columns / LANES)
    wanted = threads * min(ceil(operations / TASK_OPERATIONS / threads), ceil(TASKS_A_THREAD / stack))
    panels = ceil(columns / (2 * LANES))
    task_columns = 2 * LANES * max(1, panels // wanted)
    across = ceil(columns / task_columns)
    down = 1 if across >= 2 * threads else max(1, wanted // across)
    return ceil(rows / down), task_columns
