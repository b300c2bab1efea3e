"""CCall: a C function, and what it is called with."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from dltrain.autodiff.spec import Array
from dltrain.backends.numpy.backend import kernel
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import KernelError
from dltrain.errors import GraphError

C_TYPES = {
    np.dtype("float32"): "float",
    np.dtype("float64"): "double",
    np.dtype("int64"): "int64_t",
    np.dtype("bool"): "uint8_t",
    np.dtype("uint8"): "uint8_t",
}


@cache
def c_text(name: str) -> str:
    """The C in a file beside this one, with that of others beside it in place of `#include "..."`."""
    text = Path(__file__).with_name(name).read_text(encoding="ascii")
    return re.sub(r'^#include "(.*)"$', lambda found: c_text(found[1]), text, flags=re.MULTILINE)


def is_contiguous(array: Array) -> bool:
    """Whether the array's numbers lie in memory without gaps, the last axis innermost."""
    return array.flags.c_contiguous


class _Moved:
    def __init__(self, array: Array, address: int) -> None:
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}


def _moved(array: Array, address: int | None) -> Array:
    """Like the array, but for its address; None: where it lies."""
    return array if address is None else np.asarray(_Moved(array, address))


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
    """A call of `int64_t name(char **p, const int64_t *n, int64_t start, int64_t stop)`.

    The function does the tasks from start up to, and without, stop, and returns 0, or something else where it
    refuses its input.

    Attributes:
        work: what it computes.
        name: of the function.
        source: the C that has it.
        arrays: whose addresses are p.
        numbers: n.
        tasks: how many it has; they may run at the same time.
        refuses: whether it may refuse its input; NumPy's kernel then computes it, or says what is wrong.
        text: of a function that is written for this call, after its type and name; else empty.
        pointers, fields: p, and what threads.c is given, once the call is bound: addresses of what it keeps.
    """

    work: Instruction
    name: str
    source: str
    arrays: Sequence[Array]
    numbers: Sequence[int] = ()
    tasks: int = 1
    refuses: bool = False
    pointers: ctypes.Array[ctypes.c_void_p] = field(init=False)
    fields: CallFields = field(init=False)

    @property
    def text(self) -> str:
        return ""

    @property
    def written(self) -> str:
        """The source, if it was written for this call and others of its plan; else empty."""
        return self.source if self.text else ""

    @property
    def all(self) -> Sequence[CCall]:
        """It and the calls that it makes, which stand before it."""
        return [self]

    def after_refusal(self, number: int) -> int:
        """Has NumPy's kernel compute what the function has just refused, or say what is wrong.

        Returns:
            what `run` is called with next, where that has returned the number.

        Raises:
            KernelError: it refuses its input, too.
        """
        node, others = self.work.node, self.work.nodes[1:]
        now = {array.ctypes.data: at for array, at in zip(self.arrays, self.pointers, strict=False)}
        arrays = {
            each: _moved(array, now.get(array.ctypes.data))
            for each in (*node.inputs, node, *others)
            if (array := self.work.arrays.get(each)) is not None
        }
        try:
            kernel(node, arrays, others)()
        except GraphError as error:
            raise KernelError(node, error) from None
        return number

    def bind(self, library: ctypes.CDLL) -> None:
        """To the function in the compiled source."""
        self.pointers = (ctypes.c_void_p * len(self.arrays))(*(array.ctypes.data for array in self.arrays))
        self._numbers = (ctypes.c_int64 * len(self.numbers))(*self.numbers)
        self.fields = CallFields(
            ctypes.cast(getattr(library, self.name), ctypes.c_void_p),
            ctypes.addressof(self.pointers),
            ctypes.addressof(self._numbers),
            self.tasks,
        )


def call_of_file(
    work: Instruction,
    file: str,
    function: str,
    arrays: Sequence[Array],
    numbers: Sequence[int],
    tasks: int = 1,
    *,
    refuses: bool = False,
    **constants: object,
) -> CCall:
    """A call of a function in a file beside this one.

    Arguments:
        arrays: the last one is what it writes.
        constants: what the C has for these names, besides REAL, the type of what it writes.
    """
    constants["REAL"] = C_TYPES[arrays[-1].dtype]
    head = "".join(f"#define {name} {value}\n" for name, value in constants.items())
    return CCall(work, function, head + c_text(file), arrays, numbers, tasks, refuses)
