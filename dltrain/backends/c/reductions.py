"""C loops for reductions, each together with the elementwise group that makes what it reduces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from math import ceil, prod

from dltrain.autodiff.ops.reduce import Reduction
from dltrain.autodiff.spec import Array
from dltrain.backends.c.backend import C
from dltrain.backends.c.call import C_TYPES, CCall
from dltrain.backends.c.elementwise import TASK_ELEMENTS, outside, write_expressions, write_value
from dltrain.backends.c.function import CFunction
from dltrain.backends.c.loops import Loop, Place, Strides, broadcast_strides, merged_loops
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import Node

ROUNDS = 256  # numbers that are added to a part one after the other
LANES = 64  # parts of a sum along contiguous memory: they fill four wide registers
FEW_LANES = 8  # those of one row among many, since they are added up for each row
LONG_ROW = 512  # numbers in a row that is worth LANES
SHORT_ROW = 16  # numbers in a row that are added up one after the other, side by side with other rows
COLUMNS = 1024  # parts of sums side by side: they stay in the cache
COLUMNS_APART = 64  # the same where they do not lie side by side
ROWS = 4  # numbers that are added to these at once
LARGE = 8 * TASK_ELEMENTS  # numbers, those in between counted, that are worth more than one thread


@C.lowering(Reduction)
def reduction_call(work: Instruction, _: C) -> CCall | None:
    """The call of the loops over a group that ends with a reduction; large ones are cut into tasks."""
    op, sizes = work.nodes[-1].op, work.nodes[-1].inputs[0].spec.sizes
    if not isinstance(op, Reduction) or op.combine is None or 0 in sizes:
        return None
    function = CFunction(work)
    write_reduction(function, work.nodes, work.arrays, split=len(work.nodes) * prod(sizes) >= LARGE)
    return function


def write_reduction(
    function: CFunction, group: Sequence[Node], arrays: Mapping[Node, Array], *, split: bool = False
) -> None:
    """Write the loops that compute the group's nodes: elementwise ones, then a reduction of one of them.

    Neighbours in memory go into parts side by side: of their own columns, or, where rows are reduced, of the
    same sum; short rows are added up beside each other. `ROUNDS` numbers are added to a part one after the
    other, then it is added to its total, in double. So the error of a float32 sum does not grow with its
    length, and that of a float64 sum slowly. Tasks are parts of what is kept: no number depends on them.

    Arguments:
        arrays: of the group's inputs and of those of its nodes that are read elsewhere.
        split: into tasks, which makes it all that the function does.
    """
    with function.block():
        _Writer(function, group, arrays, split).write()


@dataclass(frozen=True)
class _Nest:
    """The loops, from the outermost to the innermost one.

    Attributes:
        outer: over what is kept.
        columns: over what is kept and stands innermost, in blocks; these loops are around all that follow.
        between, rows: over what is reduced.
        sides: neighbours of a row that are parts of the same sum.
        at_once: rows that are added to a part before it is stored.
        block: columns side by side.
    """

    outer: list[Loop]
    columns: Loop | None
    between: list[Loop]
    rows: Loop
    sides: int
    at_once: int
    block: int

    @property
    def order(self) -> list[Loop]:
        """In which `Place` counts them."""
        return [*self.outer, *self.between, self.rows, *([self.columns] if self.columns else [])]

    @property
    def adds_all_at_once(self) -> bool:
        """Whether the rows are as many as are added at once, so that none is left over."""
        return self.sides == 1 and self.at_once == self.rows.size

    @property
    def reduced(self) -> int:
        """How many numbers become one."""
        return prod(loop.size for loop in self.between) * self.rows.size


def _nest(loops: Sequence[Loop], arrays: int, split: bool) -> _Nest:
    """How to run through the loops; of each the last stride is that of the result, 0 where it is reduced."""
    loops = sorted(loops, key=lambda loop: max(loop.strides[:-1]), reverse=True)
    outer = [loop for loop in loops if loop.strides[-1]]
    reduced = [loop for loop in loops if not loop.strides[-1]]
    *between, rows = reduced or [Loop(1, (0,) * arrays)]
    if outer and loops[-1] is outer[-1]:
        block = COLUMNS_APART if split and len(outer) == 1 else COLUMNS
        return _Nest(outer[:-1], outer[-1], between, rows, 1, ROWS, block)
    if outer and rows.size <= SHORT_ROW:
        longest = max(outer, key=lambda loop: loop.size)
        outer.remove(longest)
        return _Nest(outer, longest, between, rows, 1, rows.size, COLUMNS_APART)
    sides = FEW_LANES if outer and rows.size < LONG_ROW else LANES
    sides = rows.size if rows.size < FEW_LANES else sides  # adding up 64 parts takes long for two numbers
    return _Nest(outer, None, between, rows, sides, 1, 1)


def _out_strides(out: Array, op: Reduction, rank: int) -> Strides:
    """Of the result along the axes of what is reduced."""
    steps = iter(broadcast_strides(out, out.ndim))
    kept = [next(steps) if op.keepdims or axis not in op.axes else 0 for axis in range(rank)]
    return tuple(kept)


class _Writer:
    def __init__(
        self, function: CFunction, group: Sequence[Node], arrays: Mapping[Node, Array], split: bool
    ) -> None:
        *self._elementwise, self._node = group
        op = self._node.op
        assert isinstance(op, Reduction)
        assert op.combine is not None
        self._function, self._split = function, split
        self._combine, self._finish = op.combine, op.finish
        self._neutral = op.neutral(self._node.spec.dtype)
        self._inputs = outside(group)
        self._results = [node for node in self._elementwise if node in arrays]
        shape = self._node.inputs[0].spec.sizes
        nodes = [*self._inputs, *self._results]
        strides = [broadcast_strides(arrays[node], len(shape)) for node in nodes]
        out = _out_strides(arrays[self._node], op, len(shape))
        self._nest = _nest(merged_loops(shape, [*strides, out]), len(strides) + 1, split)
        self._places = {
            node: Place(
                function, arrays[node], tuple([loop.strides[k] for loop in self._nest.order]), node in group
            )
            for k, node in enumerate([*nodes, self._node])
        }
        self._type = C_TYPES[self._node.spec.dtype]
        self._indices: list[str] = []  # of the loops that are open
        self._values: dict[Node, str] = {}  # what has been read outside of the innermost loops

    def write(self) -> None:
        function, nest = self._function, self._nest
        rows = str(nest.rows.size) if nest.adds_all_at_once else function.size(nest.rows.size)
        count = function.size(nest.reduced)
        lanes, self._first = str(nest.sides), "0"
        with ExitStack() as stack:
            self._read(self._inputs)
            for depth, loop in enumerate(nest.outer):
                self._indices.append(stack.enter_context(self._loop(loop.size, depth)))
                self._read(self._inputs)
            if nest.columns:
                columns, blocks = function.size(nest.columns.size), ceil(nest.columns.size / nest.block)
                block = stack.enter_context(self._loop(blocks, len(nest.outer)))
                self._first, lanes = f"{block} * {nest.block}", "columns"
                left = f"{columns} - {self._first}"
                function.line(f"const int64_t columns = {_least(left, nest.block)};")
            else:
                stack.enter_context(function.block())
            self._lanes = lanes
            total = "double" if self._type == "float" else self._type
            function.line(f"{self._type} part[{nest.sides * nest.block}];")
            function.line(f"{total} total[{nest.sides * nest.block}];")
            function.line("int64_t rounds = 0, emptied = 0;")
            self._each(f"part[{{0}}] = {self._neutral};")
            kept = len(self._indices)
            with ExitStack() as between:
                for loop in nest.between:
                    self._indices.append(between.enter_context(function.loop(function.size(loop.size))))
                self._add_rows(rows)
            del self._indices[kept:]
            whole = f"(emptied ? {self._combine.format('total[{0}]', 'part[{0}]')} : part[{{0}}])"
            if not nest.columns:
                self._each(f"total[{{0}}] = {whole};")
                with function.block(f"for (int64_t i = 1; i < {nest.sides}; ++i)"):
                    function.line(f"total[0] = {self._combine.format('total[0]', 'total[i]')};")
                whole = "total[0]"
            with function.loop(lanes if nest.columns else "1", parallel=True) as i:
                result = self._places[self._node].element(
                    [*self._indices, *"0" * (len(nest.between) + 1), f"({self._first} + {i})"]
                )
                finished = self._finish.format(whole.format(i), count)
                function.line(f"{result} = ({self._type})({finished});")

    def _add_rows(self, count: str) -> None:
        function, nest = self._function, self._nest
        function.line(f"const int64_t rows = ({count} + {nest.sides - 1}) / {nest.sides};")
        function.line(f"const int64_t whole = {count} / {nest.sides};")
        with function.block("for (int64_t r = 0; r < rows;)"):
            function.line(f"const int64_t end = r + {_least('rows - r', ROUNDS)};")
            with function.block(f"if (rounds + end - r > {ROUNDS})"):
                both = self._combine.format("total[{0}]", "part[{0}]")
                self._each(f"total[{{0}}] = emptied ? {both} : part[{{0}}], part[{{0}}] = {self._neutral};")
                function.line("rounds = 0, emptied = 1;")
            function.line("rounds += end - r;")
            step = nest.at_once
            with function.block(f"for (; r + {step} <= end && r + {step} <= whole; r += {step})"):
                self._add(step, self._lanes)
            if not nest.adds_all_at_once:
                with function.block("for (; r < end; ++r)"):
                    left = f"{count} - r * {nest.sides}"
                    self._add(1, self._lanes if nest.columns else _least(left, nest.sides))

    def _add(self, at_once: int, lanes: str) -> None:
        """Add rows to the parts."""
        function, nest = self._function, self._nest
        with function.loop(lanes, parallel=True) as lane:
            function.line(f"{self._type} sum = part[{lane}];")
            with function.loop(str(at_once), unroll=True) as again:
                row = f"(r + {again})" if nest.columns else f"(r * {nest.sides} + {lane})"
                indices = [*self._indices, row, f"({self._first} + {lane})"]
                values = dict(self._values)
                for node in self._inputs:
                    if node not in values:
                        values[node] = write_value(function, node, self._places[node].element(indices))
                write_expressions(function, self._elementwise, values)
                for node in self._results:
                    function.line(f"{self._places[node].element(indices)} = {values[node]};")
                function.line(f"sum = {self._combine.format('sum', values[self._node.inputs[0]])};")
            function.line(f"part[{lane}] = sum;")

    def _each(self, line: str) -> None:
        """The line for each of the parts."""
        with self._function.loop(self._lanes, parallel=True) as i:
            self._function.line(line.format(i))

    def _read(self, nodes: Sequence[Node]) -> None:
        """The numbers whose address does not change in the loops that are not open yet."""
        for node in nodes:
            if self._places[node].depth == len(self._indices):
                self._values[node] = write_value(
                    self._function, node, self._places[node].element(self._indices)
                )

    def _loop(self, size: int, depth: int) -> AbstractContextManager[str]:
        """The loop at a depth around the parts; the outermost one is split into tasks."""
        if not self._split or depth:
            return self._function.loop(self._function.size(size))
        inner = prod(loop.size for loop in self._nest.order) // size
        return self._function.split_loop(size, max(1, TASK_ELEMENTS // inner))


def _least(number: str, most: int) -> str:
    return f"({number} < {most} ? {number} : {most})"
