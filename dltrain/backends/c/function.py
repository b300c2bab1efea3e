"""CFunction: the text of a C function, and the arrays and sizes that it is called with.

The text depends on the structure of a computation only (which loops, which arrays are broadcast). Addresses
and sizes are arguments, so that plans that differ in their batch's size share one compiled function.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

import numpy as np

from dltrain.autodiff.spec import Array
from dltrain.compiler.ir import Node

C_TYPES = {
    np.dtype("float32"): "float",
    np.dtype("float64"): "double",
    np.dtype("int64"): "int64_t",
    np.dtype("bool"): "uint8_t",
    np.dtype("uint8"): "uint8_t",
}


class CFunction:
    """A C function under construction, to be called with pointers, sizes, and which of its tasks to do.

    Its type is `function` of threads.c. It returns 0, or the number, from 1, of the check that failed.

    Attributes:
        arrays, sizes: what it is to be called with.
        written: those of the arrays that it writes.
        checked: the node of each check.
        tasks: how many it has.
    """

    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self.written: list[Array] = []
        self.sizes: list[int] = []
        self.checked: list[Node] = []
        self.tasks = 1
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
        size, length, index = self.size(number), self.size(each), self.name("i")
        self.line(f"const int64_t end = stop * {length} < {size} ? stop * {length} : {size};")
        self.line("#pragma GCC ivdep")
        with self.block(f"for (int64_t {index} = start * {length}; {index} < end; ++{index})"):
            yield index

    @contextmanager
    def loop(self, size: str, *, parallel: bool = False) -> Iterator[str]:
        """A loop from 0 to `size`; yields its index.

        Arguments:
            parallel: no turn reads what another one writes.
        """
        index = self.name("i")
        if parallel:
            self.line("#pragma GCC ivdep")
        with self.block(f"for (int64_t {index} = 0; {index} < {size}; ++{index})"):
            yield index

    def check(self, node: Node, condition: str) -> None:
        """Return early, with the number of this check, unless the condition holds."""
        self.checked.append(node)
        self.line(f"if (!({condition})) return {len(self.checked)};")

    def name(self, prefix: str) -> str:
        """A name not used before."""
        self._names += 1
        return f"{prefix}{self._names}"

    def size(self, number: int) -> str:
        """The name of a constant that is `number` when the function is called."""
        name = self.name("n")
        self.line(f"const int64_t {name} = n[{len(self.sizes)}];")
        self.sizes.append(number)
        return name

    def pointer(self, array: Array, *, write: bool = False) -> str:
        """The name of a pointer to the array's first element."""
        name, c_type = self.name("a"), C_TYPES[array.dtype]
        const = "" if write else "const "
        self.line(f"{const}{c_type} *const {name} = ({const}{c_type} *)p[{len(self.arrays)}];")
        self.arrays.append(array)
        if write:
            self.written.append(array)
        return name
