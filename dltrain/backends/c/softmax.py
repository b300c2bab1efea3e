"""C loops for softmax, and for what looks up labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dltrain.autodiff.ops.gather import OneHot
from dltrain.autodiff.ops.softmax import LogSoftmax, Softmax, SoftmaxCrossEntropy
from dltrain.autodiff.spec import Array
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import C_TYPES, CCall, is_contiguous
from dltrain.backends.c.function import CFunction
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import Node

LONGEST_ROW = 1024  # numbers in a row of softmax: that of whole rows must fit into a small buffer

Writer = Callable[[CFunction, Node, Mapping[Node, Array]], None]


@C.lowering(Softmax, LogSoftmax, OneHot, SoftmaxCrossEntropy)
def row_call(work: Instruction, _: C) -> CCall | None:
    """The call of a function that is written for the node."""
    writer = writer_for(work.node, work.arrays)
    if writer is None:
        return None
    function = CFunction(work)
    writer(function, work.node, work.arrays)
    return function


def writer_for(node: Node, arrays: Mapping[Node, Array]) -> Writer | None:
    """What writes the node's kernel in C; None where only NumPy computes it."""
    if arrays[node].size == 0 or not all(is_contiguous(arrays[n]) for n in (*node.inputs, node)):
        return None
    match node.op:
        case Softmax(axis=axis) | LogSoftmax(axis=axis):
            shape = node.spec.sizes
            return write_softmax if axis == len(shape) - 1 and shape[-1] <= LONGEST_ROW else None
        case OneHot():
            return write_one_hot
        case SoftmaxCrossEntropy():
            return write_cross_entropy
    return None


def write_softmax(function: CFunction, node: Node, arrays: Mapping[Node, Array]) -> None:
    """softmax or log_softmax of rows, some rows at a time, so that exp runs over many numbers at once."""
    is_log = isinstance(node.op, LogSoftmax)
    source, out = arrays[node.inputs[0]], arrays[node]
    c_type, f = C_TYPES[out.dtype], "f" if out.dtype == np.float32 else ""
    columns = out.shape[-1]
    with function.block():
        x, y = function.pointer(source), function.pointer(out, write=True)
        rows, width = function.size(out.size // columns), function.size(columns)
        function.line(f"{c_type} e[{LONGEST_ROW}];")
        function.line(f"const int64_t at_once = {LONGEST_ROW} / {width};")
        with function.block(f"for (int64_t start = 0; start < {rows}; start += at_once)"):
            function.line(f"const int64_t end = start + at_once < {rows} ? start + at_once : {rows};")
            with function.block("for (int64_t r = start; r < end; ++r)"):
                function.line(f"{c_type} top = {x}[r * {width}];")
                with function.block(f"for (int64_t j = 1; j < {width}; ++j)"):
                    function.line(f"const {c_type} v = {x}[r * {width} + j];")
                    function.line("top = top >= v || top != top ? top : v;")
                with function.block(f"for (int64_t j = 0; j < {width}; ++j)"):
                    function.line(f"{y}[r * {width} + j] = {x}[r * {width} + j] - top;")
            with function.block(f"for (int64_t k = 0; k < (end - start) * {width}; ++k)"):
                function.line(f"e[k] = exp{f}({y}[start * {width} + k]);")
            with function.block("for (int64_t r = start; r < end; ++r)"):
                function.line(f"{c_type} total = 0;")
                with function.block(f"for (int64_t j = 0; j < {width}; ++j)"):
                    function.line(f"total += e[(r - start) * {width} + j];")
                if is_log:
                    function.line(f"total = log{f}(total);")
                with function.block(f"for (int64_t j = 0; j < {width}; ++j)"):
                    target = f"{y}[r * {width} + j]"
                    value = f"{target} - total" if is_log else f"e[(r - start) * {width} + j] / total"
                    function.line(f"{target} = {value};")


def write_one_hot(function: CFunction, node: Node, arrays: Mapping[Node, Array]) -> None:
    """Zeros, and a one at the index; returns early if an index is out of range."""
    indices, out = arrays[node.inputs[0]], arrays[node]
    with function.block():
        index, y = function.pointer(indices), function.pointer(out, write=True)
        rows, width = function.size(indices.size), function.size(out.shape[-1])
        function.line(f"memset({y}, 0, {rows} * {width} * sizeof *{y});")
        with function.loop(rows) as r:
            function.check(f"(uint64_t){index}[{r}] < (uint64_t){width}")
            function.line(f"{y}[{r} * {width} + {index}[{r}]] = 1;")


def write_cross_entropy(function: CFunction, node: Node, arrays: Mapping[Node, Array]) -> None:
    """The negative log-probability at the label; returns early if a label is out of range."""
    _, log_probabilities, labels = (arrays[source] for source in node.inputs)
    out = arrays[node]
    with function.block():
        x, label = function.pointer(log_probabilities), function.pointer(labels)
        y = function.pointer(out, write=True)
        rows, width = function.size(labels.size), function.size(log_probabilities.shape[-1])
        with function.loop(rows) as r:
            function.check(f"(uint64_t){label}[{r}] < (uint64_t){width}")
            function.line(f"{y}[{r}] = -{x}[{r} * {width} + {label}[{r}]];")
