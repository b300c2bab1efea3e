"""CCall: a C function, and what it is called with."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from dltrain.autodiff.spec import Array
from dltrain.backends.calls import Call
from dltrain.compiler.ir import Node

C_TYPES = {
    np.dtype("float32"): "float",
    np.dtype("float64"): "double",
    np.dtype("int64"): "int64_t",
    np.dtype("bool"): "uint8_t",
    np.dtype("uint8"): "uint8_t",
}


@cache
@cache
def c_text(name: str) -> str:
    """The C in a file beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="ascii")


class CallFields(ctypes.Structure):
    """`call` of threads.c."""

    _fields_ = (
        ("entry", ctypes.c_void_p),
        ("pointers", ctypes.c_void_p),
        ("numbers", ctypes.c_void_p),
        ("tasks", ctypes.c_int64),
    )


@dataclass(eq=False)
class CCall:
    """A call of a C function of the type `function` of threads.c.

    Attributes:
        name: of the function.
        source: the C that has it.
        nodes: what it computes.
        arrays, numbers: what it is called with.
        written: those of the arrays that it fills.
        tasks: how many it has; they may run at the same time.
        checked: the node of each check, in the order of their numbers, with NumPy's kernel, which says what
            is wrong with inputs that are refused; only a call of one task has any.
        fields: what threads.c is given once the call is bound; they are addresses of what the call keeps.
    """

    name: str = ""
    source: str = ""
    nodes: list[Node] = field(default_factory=list)
    arrays: list[Array] = field(default_factory=list)
    written: list[Array] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    tasks: int = 1
    checked: list[tuple[Node, Call]] = field(default_factory=list)

    def bind(self, library: ctypes.CDLL) -> None:
        """To the function in the compiled source."""
        self._pointers = (ctypes.c_void_p * len(self.arrays))(*(array.ctypes.data for array in self.arrays))
        self._numbers = (ctypes.c_int64 * len(self.numbers))(*self.numbers)
        self.fields = CallFields(
            ctypes.cast(getattr(library, self.name), ctypes.c_void_p),
            ctypes.addressof(self._pointers),
            ctypes.addressof(self._numbers),
            self.tasks,
        )
