"""CFunction: a C function that is written for what it is called with.

The text depends on the structure of a computation only (which loops, which arrays are broadcast). Addresses
and sizes are arguments, so that plans that differ in their batch's size share one compiled function.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from dltrain.autodiff.spec import Array
from dltrain.backends.c.call import C_TYPES, CCall
from dltrain.compiler.instructions import Instruction


class CFunction(CCall):
    """A call of a C function under construction; what has the same text is compiled once a plan."""

    arrays: list[Array]
    numbers: list[int]

    def __init__(self, work: Instruction) -> None:
        super().__init__(work, name="", source="", arrays=[], numbers=[])
        self._lines: list[str] = []
        self._depth = 1
        self._names = 0

    @property
    def text(self) -> str:
        """The function in C, without its type and name."""
        head = "(char **p, const int64_t *n, int64_t start, int64_t stop) {"
        return "\n".join([head, *self._lines, "  return 0;", "}"])

    def line(self, text: str) -> None:
        self._lines.append("  " * self._depth + text)

    @contextmanager
    def block(self, head: str = "") -> Iterator[None]:
        """Lines in braces after `head`."""
        self.line(f"{head} {{".lstrip())
        self._depth += 1
        yield
        self._depth -= 1
        self.line("}")

    @contextmanager
    def split_loop(self, number: int, each: int) -> Iterator[str]:
        """A loop from 0 to `number` that is cut into tasks of `each` turns; yields its index.

        No turn reads what another one writes.
        """
        self.tasks = ceil(number / each)
        size, length, index = self.size(number), self.size(each), self.new_name("i")
        self.line(f"const int64_t end = stop * {length} < {size} ? stop * {length} : {size};")
        self.line("#pragma GCC ivdep")
        with self.block(f"for (int64_t {index} = start * {length}; {index} < end; ++{index})"):
            yield index

    @contextmanager
    def loop(self, size: str, *, parallel: bool = False, unroll: bool = False) -> Iterator[str]:
        """A loop from 0 to `size`; yields its index.

        Arguments:
            parallel: no turn reads what another one writes.
            unroll: into as many copies of its lines as the size, a number, says.
        """
        index = self.new_name("i")
        if unroll:
            self.line(f"#pragma GCC unroll {size}")
        elif parallel:
            self.line("#pragma GCC ivdep")
        with self.block(f"for (int64_t {index} = 0; {index} < {size}; ++{index})"):
            yield index

    def check(self, condition: str) -> None:
        """Refuse the input unless the condition holds."""
        self.refuses = True
        self.line(f"if (!({condition})) return 1;")

    def new_name(self, prefix: str) -> str:
        """A name not used before."""
        self._names += 1
        return f"{prefix}{self._names}"

    def size(self, number: int) -> str:
        """The name of a constant that is `number` when the function is called."""
        name = self.new_name("n")
        self.line(f"const int64_t {name} = n[{len(self.numbers)}];")
        self.numbers.append(number)
        return name

    def pointer(self, array: Array, *, write: bool = False) -> str:
        """The name of a pointer to the array's first element."""
        name, c_type = self.new_name("a"), C_TYPES[array.dtype]
        const = "" if write else "const "
        self.line(f"{const}{c_type} *const {name} = ({const}{c_type} *)p[{len(self.arrays)}];")
        self.arrays.append(array)
        return name
