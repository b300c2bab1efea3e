"""C loops for reductions, softmax, and what looks up labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from math import prod

import numpy as np

from dltrain.autodiff.ops.gather import OneHot
from dltrain.autodiff.ops.reduce import Max, Mean, Sum
from dltrain.autodiff.ops.softmax import LogSoftmax, Softmax, SoftmaxCrossEntropy
from dltrain.autodiff.spec import Array
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import C_TYPES, CCall, is_contiguous
from dltrain.backends.c.function import CFunction
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import Node

LANES = 64  # parts of a sum along contiguous memory: they fill four wide registers
COLUMNS = 1024  # parts of sums along other axes: they stay in the cache
ROWS = 4  # that are added to these at once
ROUNDS = 256  # numbers that are added to a part one after the other
LONGEST_ROW = 1024  # numbers in a row of softmax: that of whole rows must fit into a small buffer

Writer = Callable[[CFunction, Node, Mapping[Node, Array]], None]


@C.lowering(Sum, Mean, Max, Softmax, LogSoftmax, OneHot, SoftmaxCrossEntropy)
def reduction(work: Instruction, _: C) -> CCall | None:
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
        case Sum() | Mean() | Max() if arrays[node.inputs[0]].size:
            return write_reduction
        case Softmax(axis=axis) | LogSoftmax(axis=axis):
            shape = node.spec.sizes
            return write_softmax if axis == len(shape) - 1 and shape[-1] <= LONGEST_ROW else None
        case OneHot():
            return write_one_hot
        case SoftmaxCrossEntropy():
            return write_cross_entropy
    return None


def write_reduction(function: CFunction, node: Node, arrays: Mapping[Node, Array]) -> None:
    """Sum, mean or greatest number along the op's axes.

    Neighbours in memory go into parts side by side: of their own columns, or, where rows are reduced, of the
    same sum. `ROUNDS` numbers are added to a part one after the other, then it is added to its total, in
    double. So the error of a float32 sum does not grow with its length, and that of a float64 sum slowly.
    """
    assert isinstance(node.op, Sum | Mean | Max)
    source, out = arrays[node.inputs[0]], arrays[node]
    c_type, is_max = C_TYPES[out.dtype], isinstance(node.op, Max)
    accumulate = "{0} >= {1} || {0} != {0} ? {0} : {1}" if is_max else "{0} + {1}"
    both = f"(emptied ? {accumulate.format('total[{0}]', 'part[{0}]')} : part[{{0}}])"
    *outer, (_, reduces_rows) = runs = _runs(source.shape, node.op.axes)
    most = LANES if reduces_rows else COLUMNS

    def add(target: str, values: str, count: str) -> None:
        with function.loop(count, parallel=True) as i:
            function.line(f"{target}[{i}] = {accumulate.format(f'{target}[{i}]', f'{values}[{i}]')};")

    def empty() -> None:
        with function.loop("lanes", parallel=True) as i:
            function.line(f"total[{i}] = {both.format(i)};")

    with function.block(), ExitStack() as nest:
        x, y = function.pointer(source), function.pointer(out, write=True)
        sizes = [function.size(size) for size, _ in runs]
        steps = [function.size(prod(size for size, _ in runs[k + 1 :])) for k in range(len(runs))]
        count = function.size(prod(size for size, is_reduced in runs if is_reduced))
        width, offset, place = sizes[-1], "0", "0"
        for k, (_, is_reduced) in enumerate(outer):
            if not is_reduced:
                index = nest.enter_context(function.loop(sizes[k]))
                offset, place = f"{offset} + {index} * {steps[k]}", f"({place}) * {sizes[k]} + {index}"
        if reduces_rows:
            nest.enter_context(function.block())
            few, stride, columns = 1, str(LANES), str(LANES)
            lanes, rest = _least(width, LANES), _least(f"{width} - r * {LANES}", LANES)
            rows, whole = f"({width} + {LANES - 1}) / {LANES}", f"{width} / {LANES}"
        else:
            column = function.new_name("column")
            head = f"for (int64_t {column} = 0; {column} < {width}; {column} += {COLUMNS})"
            nest.enter_context(function.block(head))
            offset, place = f"{offset} + {column}", f"({place}) * {width} + {column}"
            few, stride, columns, rest = ROWS, width, "lanes", "lanes"
            lanes, rows = _least(f"{width} - {column}", COLUMNS), sizes[-2] if outer else "1"
            whole = rows
        function.line(f"const int64_t lanes = {lanes}, rows = {rows}, whole = {whole};")
        function.line(f"{c_type} part[{most}];")
        function.line(f"{'double' if c_type == 'float' else c_type} total[{most}];")
        function.line("int64_t rounds = 0, emptied = 0;")
        with function.loop("lanes", parallel=True) as i:
            function.line(f"part[{i}] = {f'{x}[{offset} + {i}]' if is_max else 0};")
        with ExitStack() as inner:
            for k, (_, is_reduced) in enumerate(outer if reduces_rows else outer[:-1]):
                if is_reduced:
                    index = inner.enter_context(function.loop(sizes[k]))
                    offset = f"{offset} + {index} * {steps[k]}"
            function.line(f"const {c_type} *row = {x} + {offset};")
            with function.block("for (int64_t r = 0; r < rows;)"):
                function.line(f"const int64_t end = r + {_least('rows - r', ROUNDS)};")
                with function.block(f"if (rounds + end - r > {ROUNDS})"):
                    empty()
                    function.line("memset(part, 0, sizeof part);" if not is_max else "")
                    function.line("rounds = 0, emptied = 1;")
                function.line("rounds += end - r;")
                head = f"for (; r + {few} <= end && r + {few} <= whole; r += {few}, row += {few} * {stride})"
                with function.block(head), function.loop(columns, parallel=True) as i:
                    function.line(f"{c_type} sum = part[{i}];")
                    for k in range(few):
                        function.line(f"sum = {accumulate.format('sum', f'row[{k} * {stride} + {i}]')};")
                    function.line(f"part[{i}] = sum;")
                with function.block(f"for (; r < end; ++r, row += {stride})"):
                    add("part", "row", rest)
        divided = f" / {count}" if isinstance(node.op, Mean) else ""
        if reduces_rows:
            empty()
            with function.block("for (int64_t i = 1; i < lanes; ++i)"):
                function.line(f"total[0] = {accumulate.format('total[0]', 'total[i]')};")
            function.line(f"{y}[{place}] = ({c_type})(total[0]{divided});")
        else:
            with function.loop("lanes", parallel=True) as i:
                function.line(f"{y}[{place} + {i}] = ({c_type})({both.format(i)}{divided});")


def _least(number: str, most: int) -> str:
    return f"({number} < {most} ? {number} : {most})"


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
