"""Parts added into zeros: the gradient of slices."""

from __future__ import annotations

from contextlib import ExitStack

from dltrain.autodiff.ops.slices import Unslice
from dltrain.autodiff.spec import Array
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import CCall
from dltrain.backends.c.function import CFunction
from dltrain.compiler.instructions import Instruction


@C.lowering(Unslice)
def unslice(work: Instruction, _: C) -> CCall:
    """The call of a loop nest for each part, which adds it."""
    op, (out,) = work.node.op, work.outputs
    assert isinstance(op, Unslice)
    function = CFunction(work)
    zeros = function.pointer(out, write=True)
    function.line(f"memset({zeros}, 0, {function.size(out.size)} * sizeof *{zeros});")
    for part, place in zip(work.inputs, op.places(out), strict=True):
        _write_addition(function, part, place)
    return function


def _write_addition(function: CFunction, part: Array, place: Array) -> None:
    with function.block(), ExitStack() as nest:
        x, y = function.pointer(part), function.pointer(place, write=True)
        sizes = [function.size(size) for size in part.shape]
        indices = [nest.enter_context(function.loop(size, parallel=True)) for size in sizes]
        source, target = (_element(function, array, indices) for array in (part, place))
        function.line(f"{y}[{target}] += {x}[{source}];")


def _element(function: CFunction, array: Array, indices: list[str]) -> str:
    """Where the loops are in the array; a stride of 1 is part of the text, so that it is vectorized."""
    strides = (stride // array.itemsize for stride in array.strides)
    terms = [
        index if stride == 1 else f"{index} * {function.size(stride)}"
        for index, stride in zip(indices, strides, strict=True)
    ]
    return " + ".join(terms) or "0"
