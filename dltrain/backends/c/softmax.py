"""C loops for softmax, and for what looks up labels."""

from __future__ import annotations

import numpy as np

from dltrain.autodiff.ops.gather import OneHot
from dltrain.autodiff.ops.softmax import LogSoftmax, Softmax, SoftmaxCrossEntropy
from dltrain.autodiff.spec import Array
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import C_TYPES, CCall, is_contiguous
from dltrain.backends.c.function import CFunction
from dltrain.compiler.instructions import Instruction

LONGEST_ROW = 1024  # numbers in a row of softmax: that of whole rows must fit into a small buffer


@C.lowering(Softmax, LogSoftmax)
def softmax(work: Instruction, _: C) -> CCall | None:
    """softmax or log_softmax of the rows along the last axis."""
    assert isinstance(work.node.op, Softmax | LogSoftmax)
    (x,), (out,) = work.inputs, work.outputs
    if work.node.op.axis != out.ndim - 1 or not _has_rows(x):
        return None
    function = CFunction(work)
    write_softmax(function, x, out, is_log=isinstance(work.node.op, LogSoftmax))
    return function


@C.lowering(SoftmaxCrossEntropy)
def cross_entropy(work: Instruction, _: C) -> CCall | None:
    """log_softmax, and minus what it is at the label; refuses a label out of range."""
    (logits, labels), (losses, log_probabilities) = work.inputs, work.outputs
    if not is_contiguous(labels) or not _has_rows(logits):
        return None
    function = CFunction(work)
    write_softmax(function, logits, log_probabilities, is_log=True)
    with function.block():
        x, label = function.pointer(log_probabilities), function.pointer(labels)
        y = function.pointer(losses, write=True)
        rows, width = function.size(labels.size), function.size(logits.shape[-1])
        with function.loop(rows) as r:
            function.check(f"(uint64_t){label}[{r}] < (uint64_t){width}")
            function.line(f"{y}[{r}] = -{x}[{r} * {width} + {label}[{r}]];")
    return function


@C.lowering(OneHot)
def one_hot(work: Instruction, _: C) -> CCall | None:
    """Zeros, and a one at the index; refuses an index out of range."""
    (indices,), (out,) = work.inputs, work.outputs
    if out.size == 0 or not is_contiguous(indices):
        return None
    function = CFunction(work)
    with function.block():
        index, y = function.pointer(indices), function.pointer(out, write=True)
        rows, width = function.size(indices.size), function.size(out.shape[-1])
        function.line(f"memset({y}, 0, {rows} * {width} * sizeof *{y});")
        with function.loop(rows) as r:
            function.check(f"(uint64_t){index}[{r}] < (uint64_t){width}")
            function.line(f"{y}[{r} * {width} + {index}[{r}]] = 1;")
    return function


def _has_rows(x: Array) -> bool:
    """Whether it is rows of a length that the small buffer holds, one after the other."""
    return bool(x.size) and is_contiguous(x) and x.shape[-1] <= LONGEST_ROW


def write_softmax(function: CFunction, source: Array, out: Array, *, is_log: bool) -> None:
    """softmax or log_softmax of rows, some rows at a time, so that exp runs over many numbers at once."""
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
