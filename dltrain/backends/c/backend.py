"""C: instructions as calls of C functions, compiled together and run on threads."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from dltrain.autodiff.ops.reduce import Reduction
from dltrain.autodiff.properties import Properties
from dltrain.backends.backend import Backend, Call, Table
from dltrain.backends.c.cache import load
from dltrain.backends.c.call import CCall, c_text
from dltrain.backends.c.compiler import Compiler
from dltrain.backends.c.threads import Threads, runtime_source
from dltrain.backends.threads import threads as threads_of_blas
from dltrain.compiler.instructions import Instruction


class C(Backend):
    """C that is compiled on this machine. A lowering returns a `CCall`.

    Arguments:
        threads: how many compute; default as many as BLAS has been given.

    Raises:
        CompilerError: the compiler refused.
        StorageError: the kernel cache cannot be used.
    """

    name = "native"
    lowering: ClassVar[Table[Callable[[Instruction, C], CCall | None]]] = Table()

    def __init__(self, compiler: Compiler, threads: int | None = None) -> None:
        self._compiler = compiler
        self._libraries: dict[str, ctypes.CDLL] = {}  # by their source
        self._load([runtime_source()])
        self.threads = threads or threads_of_blas()
        self._running = Threads(self._libraries[runtime_source()], self.threads)

    def fuses(self, op: Properties) -> bool:
        if op.combine is not None:
            return self.lowering.find(type(op)) is self.lowering.find(Reduction)
        return super().fuses(op) and op.expression() is not None

    def prepare(self, lowered: Sequence[CCall]) -> None:
        """Compile the functions that are written for these calls, and bind all of them."""
        calls = [call for made in lowered for call in made.all]
        written = [call for call in calls if call.text]
        names: dict[str, str] = {}  # by the text: layers of one kind share it
        for call in written:
            call.name = names.setdefault(call.text, f"loop{len(names)}")
        functions = "\n".join(f"int64_t {name}{text}" for text, name in names.items())
        source = c_text("prelude.h") + functions
        for call in written:
            call.source = source
        self._load(dict.fromkeys(call.source for call in calls))
        for call in calls:
            call.bind(self._libraries[call.source])
        self._running.start()

    def calls(self, lowered: Sequence[CCall]) -> list[Call]:
        """One call that makes all of these in order."""
        return [self._running.call(lowered)]

    def _load(self, sources: Iterable[str]) -> None:
        missing = [source for source in sources if source not in self._libraries]
        self._libraries |= zip(missing, load(missing, self._compiler), strict=True)
