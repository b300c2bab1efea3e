"""C loops for reductions, softmax, and what looks up labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from math import prod

import numpy as np

from dltrain.autodiff.ops.bases import Elementwise
from dltrain.autodiff.ops.gather import OneHot
from dltrain.autodiff.ops.reduce import Max, Mean, Sum
from dltrain.autodiff.ops.softmax import LogSoftmax, Softmax, SoftmaxCrossEntropy
from dltrain.autodiff.spec import Array
from dltrain.backends.c.function import C_TYPES, CFunction
from dltrain.compiler.ir import Node

LANES = 64  # partial results of a reduction along contiguous memory: they fill four wide registers
LONGEST_ROW = 1024  # numbers in a row of softmax: that of whole rows must fit into a small buffer

Writer = Callable[[CFunction, Node, Mapping[Node, Array]], None]


def writer_for(node: Node, arrays: Mapping[Node, Array]) -> Writer | None:
    """What writes the node's kernel in C; None where only NumPy computes it."""
    if isinstance(node.op, Elementwise):
        return None
    contiguous = all(arrays[n].flags.c_contiguous for n in (*node.inputs, node))
    if not contiguous or arrays[node].size == 0:
        return None
    match node.op:
        case Sum() | Mean() | Max():
            return write_reduction if arrays[node.inputs[0]].size else None
        case Softmax(axis=axis) | LogSoftmax(axis=axis):
            shape = node.spec.sizes
            return write_softmax if axis == len(shape) - 1 and shape[-1] <= LONGEST_ROW else None
        case OneHot():
            return write_one_hot
        case SoftmaxCrossEntropy():
            return write_cross_entropy
        case _:
            return None


def write_reduction(function: CFunction, node: Node, arrays: Mapping[Node, Array]) -> None:
    """Sum, mean or greatest number along the op's axes."""
    assert isinstance(node.op, Sum | Mean | Max)
    source, out = arrays[node.inputs[0]], arrays[node]
    c_type = C_TYPES[out.dtype]
    accumulate = "{0} >= {1} || {0} != {0} ? {0} : {1}" if isinstance(node.op, Max) else "{0} + {1}"
    runs = _runs(source.shape, node.op.axes)
    with function.block(), ExitStack() as nest:
        x, y = function.pointer(source), function.pointer(out, write=True)
        sizes = [function.size(size) for size, _ in runs]
        steps = [function.size(prod(size for size, _ in runs[k + 1 :])) for k in range(len(runs))]
        kept = [k for k, (_, reduced) in enumerate(runs) if not reduced]
        reduced = [k for k, (_, is_reduced) in enumerate(runs) if is_reduced]
        row = len(runs) - 1 if kept and kept[-1] == len(runs) - 1 else None  # kept, and contiguous
        count = function.size(prod(size for size, is_reduced in runs if is_reduced))
        offset, place = "0", "0"
        for k in kept:
            if k != row:
                index = nest.enter_context(function.loop(sizes[k]))
                offset, place = f"{offset} + {index} * {steps[k]}", f"({place}) * {sizes[k]} + {index}"
        if row is None:
            _reduce_row(function, node, (x, y), (offset, place), (sizes, steps, reduced), accumulate, count)
            return
        start = f"({place}) * {sizes[row]}"
        first = f"{x}[{offset} + {{0}}]" if isinstance(node.op, Max) else "0"
        with function.loop(sizes[row], parallel=True) as j:
            function.line(f"{y}[{start} + {j}] = {first.format(j)};")
        with ExitStack() as inner:
            for k in reduced:
                index = inner.enter_context(function.loop(sizes[k]))
                offset = f"{offset} + {index} * {steps[k]}"
            with function.loop(sizes[row], parallel=True) as j:
                target, value = f"{y}[{start} + {j}]", f"{x}[{offset} + {j}]"
                function.line(f"{target} = {accumulate.format(target, value)};")
        if isinstance(node.op, Mean):
            with function.loop(sizes[row], parallel=True) as j:
                function.line(f"{y}[{start} + {j}] /= ({c_type}){count};")


def _reduce_row(
    function: CFunction,
    node: Node,
    pointers: tuple[str, str],
    offsets: tuple[str, str],
    loops: tuple[list[str], list[str], list[int]],
    accumulate: str,
    count: str,
) -> None:
    """The case in which the last, contiguous run is reduced: partial results side by side, then those."""
    (x, y), (offset, place), (sizes, steps, reduced) = pointers, offsets, loops
    c_type = C_TYPES[node.spec.dtype]
    is_max = isinstance(node.op, Max)
    first = f"{x}[{offset}]" if is_max else "0"
    with function.block():
        lanes, length = function.name("lane"), sizes[reduced[-1]]
        function.line(f"{c_type} {lanes}[{LANES}];")
        with function.loop(str(LANES)) as lane:
            function.line(f"{lanes}[{lane}] = {first};")
        with ExitStack() as nest:
            for k in reduced[:-1]:
                index = nest.enter_context(function.loop(sizes[k]))
                offset = f"{offset} + {index} * {steps[k]}"
            row, j = function.name("row"), function.name("j")
            function.line(f"const {c_type} *const {row} = {x} + {offset};")
            function.line(f"int64_t {j} = 0;")
            with (
                function.block(f"for (; {j} + {LANES} <= {length}; {j} += {LANES})"),
                function.loop(str(LANES)) as lane,
            ):
                value = accumulate.format(f"{lanes}[{lane}]", f"{row}[{j} + {lane}]")
                function.line(f"{lanes}[{lane}] = {value};")
            with function.block(f"for (int64_t k = 0; {j} + k < {length}; ++k)"):
                value = accumulate.format(f"{lanes}[k]", f"{row}[{j} + k]")
                function.line(f"{lanes}[k] = {value};")
        total = function.name("total")
        wide = "double" if c_type == "float" else c_type
        function.line(f"{wide} {total} = {lanes}[0];")
        with function.block(f"for (int64_t k = 1; k < {LANES}; ++k)"):
            function.line(f"{total} = {accumulate.format(total, f'{lanes}[k]')};")
        divided = f" / {count}" if isinstance(node.op, Mean) else ""
        function.line(f"{y}[{place}] = ({c_type})({total}{divided});")


def _runs(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[tuple[int, bool]]:
    """Neighbouring axes that are all reduced, or all kept, taken together: (size, reduced)."""
    runs: list[tuple[int, bool]] = []
    for axis, size in enumerate(shape):
        if runs and runs[-1][1] == (axis in axes):
            runs[-1] = (runs[-1][0] * size, runs[-1][1])
        else:
            runs.append((size, axis in axes))
    return runs or [(1, True)]


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
        function.line(f"const int64_t step = {LONGEST_ROW} / {width};")
        with function.block(f"for (int64_t start = 0; start < {rows}; start += step)"):
            function.line(f"const int64_t end = start + step < {rows} ? start + step : {rows};")
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
            function.check(node, f"(uint64_t){index}[{r}] < (uint64_t){width}")
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
            function.check(node, f"(uint64_t){label}[{r}] < (uint64_t){width}")
            function.line(f"{y}[{r}] = -{x}[{r} * {width} + {label}[{r}]];")
