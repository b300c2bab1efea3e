"""The matrix product: product.c cut into tasks."""

from __future__ import annotations

from math import ceil, prod

from dltrain.autodiff.ops.matmul import Matmul
from dltrain.autodiff.spec import Array
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import CCall, call_of_file
from dltrain.backends.c.loops import broadcast_strides, merged_loops
from dltrain.compiler.instructions import Instruction

LANES = 16  # float32 numbers in the widest registers
PANEL = 2 * LANES  # columns of a tile of the result
PAGE = 4096  # bytes: rows as far apart as that crowd each other out of the cache
MANY_ROWS = 512  # with so many, copying b pays even where its rows are nearer
PANELS_OF_A_COPY = 16  # a strip of a is copied for so many panels, all of which fit the second cache
TASK_OPERATIONS = 1e6  # floating-point operations that are worth a task of their own: some 5 microseconds
MATRIX_OPERATIONS = 5e3  # as many more take as long as finding one matrix of a stack
TASKS_A_THREAD = 8  # so that who is done early has something to take from the others


@C.lowering(Matmul)
def product(work: Instruction, c: C) -> CCall | None:
    """The call of product.c; of matrices, or stacks of them that may broadcast.

    Its numbers are those that `product` reads, in their order.
    """
    node, (a, b), (out,) = work.node, work.inputs, work.outputs
    assert isinstance(node.op, Matmul)
    a = a.swapaxes(-1, -2) if node.op.transpose_a else a
    b = b.swapaxes(-1, -2) if node.op.transpose_b else b
    if out.shape[-1] == 1 and a.strides[-2] == a.itemsize:  # one row is quicker, where b can be read along it
        a, b, out = b.swapaxes(-1, -2), a.swapaxes(-1, -2), out.swapaxes(-1, -2)  # (a b)^T = b^T a^T
    (*stack, rows, columns), inner, size = out.shape, a.shape[-1], out.itemsize
    (a_row, a_column), (b_row, b_column), (out_row, _) = map(_steps, (a, b, out))
    if out.size == 0:
        return None
    a_is_far = (a_column == 1 and abs(a_row) * size >= PAGE) or (
        a_row == 1 and abs(a_column) * size >= PAGE // 2 and columns > PANEL
    )
    b_is_far = b_column != 1 or abs(b_row) * size >= (PAGE if rows < MANY_ROWS else PAGE // 4)
    each, task_rows, task_columns = _cut(prod(stack), rows, inner, columns, c.threads, a_is_far)
    loops = merged_loops(stack, [broadcast_strides(array, out.ndim)[:-2] for array in (a, b, out)])
    axes = [number for loop in loops for number in (loop.size, *loop.strides)]
    numbers = (
        *(rows, inner, columns, a_row, a_column, b_row, b_column, out_row, a_is_far, b_is_far),
        *(task_rows, task_columns, prod(stack), each, len(loops), *axes),
    )
    tasks = ceil(prod(stack) / each) * ceil(rows / task_rows) * ceil(columns / task_columns)
    return call_of_file(work, "product.c", "product", [a, b, out], numbers, tasks)


def _steps(array: Array) -> list[int]:
    """From row to row and from column to column, in elements; 1 where there is but one."""
    pairs = zip(array.shape[-2:], array.strides[-2:], strict=True)
    return [stride // array.itemsize if size > 1 else 1 for size, stride in pairs]


def _cut(
    stack: int, rows: int, inner: int, columns: int, threads: int, a_is_far: bool
) -> tuple[int, int, int]:
    """Matrices, rows and columns of a task. No number of the result depends on them."""
    operations = 2.0 * rows * (inner + 1) * LANES * ceil(columns / LANES) + MATRIX_OPERATIONS
    if threads == 1:
        return stack, rows, columns
    if stack > 1 and operations <= TASK_OPERATIONS / 2:
        return min(int(TASK_OPERATIONS / operations), ceil(stack / threads)), rows, columns
    most = TASKS_A_THREAD // 4 if a_is_far else TASKS_A_THREAD  # fewer, as each copies
    wanted = threads * min(ceil(operations / TASK_OPERATIONS / threads), ceil(most / stack))
    panels = ceil(columns / PANEL)
    if a_is_far:
        of_a_task = ceil(panels / min(wanted, ceil(panels / PANELS_OF_A_COPY)))
    else:
        of_a_task = max(1, panels // wanted)
    across = ceil(panels / of_a_task)
    down = 1 if across >= 2 * threads else ceil(wanted / across)
    return 1, ceil(rows / down), PANEL * of_a_task
