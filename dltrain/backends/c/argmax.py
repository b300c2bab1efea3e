"""C loops for argmax."""

from __future__ import annotations

from contextlib import ExitStack

from dltrain.autodiff.ops.reduce import Argmax
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import C_TYPES, CCall
from dltrain.backends.c.function import CFunction
from dltrain.backends.c.loops import Loop, Place, broadcast_strides, merged_loops
from dltrain.compiler.instructions import Instruction

BESIDE = 64  # results that are looked for side by side
FEWEST = 8  # that are worth it: NumPy is quicker at a single long row


@C.lowering(Argmax)
def argmax_call(work: Instruction, _: C) -> CCall | None:
    """The call of loops over the axis, in which many results are looked for side by side."""
    op, (x,), (out,) = work.node.op, work.inputs, work.outputs
    assert isinstance(op, Argmax)
    if out.size < FEWEST or not x.size:
        return None
    others = [axis for axis in range(x.ndim) if axis != op.axis]
    strides = broadcast_strides(x, x.ndim)
    written = broadcast_strides(out, out.ndim)
    kept = [written[axis] for axis in others] if op.keepdims else list(written)
    shape = [x.shape[axis] for axis in others]
    *outer, beside = merged_loops(shape, [tuple([strides[axis] for axis in others]), tuple(kept)])
    order = [*outer, Loop(x.shape[op.axis], (strides[op.axis], 0)), beside]
    function = CFunction(work)
    c_type = C_TYPES[x.dtype]
    with ExitStack() as nest:
        source, target = (
            Place(function, array, tuple([loop.strides[k] for loop in order]), write=k == 1)
            for k, array in enumerate((x, out))
        )
        length, number = function.size(x.shape[op.axis]), function.size(beside.size)
        indices = [nest.enter_context(function.loop(function.size(loop.size))) for loop in outer]
        nest.enter_context(function.block(f"for (int64_t start = 0; start < {number}; start += {BESIDE})"))
        function.line(f"const int64_t count = {number} - start < {BESIDE} ? {number} - start : {BESIDE};")
        function.line(f"{c_type} greatest[{BESIDE}];")
        function.line(f"int64_t place[{BESIDE}];")
        with function.loop("count", parallel=True) as i:
            function.line(f"greatest[{i}] = {source.element([*indices, '0', f'(start + {i})'])};")
            function.line(f"place[{i}] = 0;")
        with (
            function.block(f"for (int64_t r = 1; r < {length}; ++r)"),
            function.loop("count", parallel=True) as i,
        ):
            function.line(f"const {c_type} v = {source.element([*indices, 'r', f'(start + {i})'])};")
            function.line(f"const {c_type} g = greatest[{i}];")
            function.line(f"place[{i}] = g < v ? r : v != v ? (g != g ? place[{i}] : r) : place[{i}];")
            function.line(f"greatest[{i}] = g < v ? v : v != v ? v : g;")
        with function.loop("count", parallel=True) as i:
            function.line(f"{target.element([*indices, '0', f'(start + {i})'])} = place[{i}];")
    return function
