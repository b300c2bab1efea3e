"""NumPy: a call of a kernel a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.matmul import Matmul
from dltrain.autodiff.spec import Array
from dltrain.backends.backend import Backend, Call, Table, call_of
from dltrain.backends.scratch import Scratch
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import Copy, Node


class NumPy(Backend):
    """The ops' own kernels, which call NumPy; matrix products are those of BLAS."""

    name = "numpy"
    lowering: ClassVar[Table[Callable[[Instruction, NumPy], list[Call] | None]]] = Table()


def kernel(
    node: Node,
    arrays: Mapping[Node, Array],
    others: Sequence[Node] = (),
    scratch: Scratch | None = None,
    row: int = 0,
) -> Callable[[], object]:
    """The node's kernel bound to its arrays.

    Arguments:
        others: its other outputs.
        scratch: has memory for what it needs while it runs, from this row on; default it makes its own.
    """
    inputs = [arrays[source] for source in node.inputs]
    if isinstance(node.op, Copy):
        return copying(inputs[0], arrays[node])
    out = (arrays[node], *(arrays[other] for other in others)) if others else arrays[node]
    if scratch is not None and (needed := node.op.workspace(*inputs, out=arrays[node])):
        return partial(node.op.compute, *inputs, out=out, workspace=scratch.array(row, *needed))
    return partial(node.op.ufunc or node.op.compute, *inputs, out=out)


def copying(source: Array, target: Array) -> Callable[[], object]:
    """What copies `source` into `target`, without a line of Python as there is in NumPy's `copyto`."""
    return partial(target.__setitem__, ..., source)


@NumPy.lowering(Op)
def kernel_calls(work: Instruction, numpy: NumPy) -> list[Call] | None:
    """The call of the op's kernel; None for a loop, whose turns are calls of their own."""
    if work.loop is not None:
        return None
    assert len(work.nodes) == 1 + len(work.node.others)  # no group
    run = kernel(work.node, work.arrays, work.nodes[1:], numpy.scratch)
    return [call_of(work, run, "NumPy")]


@NumPy.lowering(Matmul)
def product_calls(work: Instruction, _: NumPy) -> list[Call]:
    """The call of BLAS."""
    return [call_of(work, kernel(work.node, work.arrays), "BLAS")]
