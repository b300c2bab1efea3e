"""NativeCall: a C function bound to what it is called with."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dltrain.autodiff.spec import Array
from dltrain.backends.numpy.tiles import kernel_call
from dltrain.compiler.ir import KernelError, Node
from dltrain.errors import GraphError


@dataclass(frozen=True)
class Check:
    """NumPy's kernel of a node, which says what is wrong with inputs that the native one has refused."""

    node: Node
    inputs: tuple[Array, ...]
    out: Array

    def fail(self) -> None:
        """
        Raises:
            KernelError: always.
        """
        try:
            kernel_call(self.node, list(self.inputs), self.out)()
        except GraphError as error:
            raise KernelError(self.node, error) from None
        raise KernelError(self.node, GraphError("the native kernel refused its input"))


class CallFields(ctypes.Structure):
    """`call` of threads.c."""

    _fields_ = (
        ("entry", ctypes.c_void_p),
        ("pointers", ctypes.c_void_p),
        ("numbers", ctypes.c_void_p),
        ("tasks", ctypes.c_int64),
    )


class NativeCall:
    """
    Arguments:
        entry: a C function of the type `function` of threads.c; it returns 0, or the number of the check that
            failed, from 1.
        arrays, numbers: what it is called with.
        tasks: how many it has; they may run at the same time.
        checks: in the order of their numbers; only a call of one task has any.
    """

    def __init__(
        self,
        entry: Any,
        arrays: Sequence[Array],
        numbers: Sequence[int],
        tasks: int = 1,
        checks: Sequence[Check] = (),
    ) -> None:
        self._arrays = tuple(arrays)  # kept alive, as C knows their addresses only
        self._pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
        self._numbers = (ctypes.c_int64 * len(numbers))(*numbers)
        self.fields = CallFields(
            ctypes.cast(entry, ctypes.c_void_p),
            ctypes.addressof(self._pointers),
            ctypes.addressof(self._numbers),
            tasks,
        )
        self.checks = tuple(checks)
