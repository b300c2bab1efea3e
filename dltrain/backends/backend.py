"""Backend: who computes instructions; which it can, says a table from ops to lowerings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.bases import Elementwise
from dltrain.autodiff.properties import Properties
from dltrain.autodiff.spec import Array
from dltrain.backends.scratch import Scratch
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import Node
from dltrain.errors import GraphError

Lowering = TypeVar("Lowering", bound=Callable[..., Any])


class Table(Generic[Lowering]):
    """Which lowering computes which op: `@table(Op, ...)` adds the function that follows."""

    def __init__(self) -> None:
        self._lowerings: dict[type[Op], Lowering] = {}
        self._found: dict[type[Properties], Lowering | None] = {}

    def __call__(self, *ops: type[Op]) -> Callable[[Lowering], Lowering]:
        def add(lowering: Lowering) -> Lowering:
            self._lowerings.update(dict.fromkeys(ops, lowering))
            self._found.clear()
            return lowering

        return add

    def find(self, op: type[Properties]) -> Lowering | None:
        """That of the class itself, or of the nearest base whose kernel it has, or that has none."""
        if op not in self._found:
            bases = [base for base in op.__mro__ if base in self._lowerings]
            found = [self._lowerings[base] for base in bases if base.kernel in (None, op.kernel)]
            self._found[op] = found[0] if found else None
        return self._found[op]


class Call(NamedTuple):
    """A call of a plan.

    Attributes:
        run: makes it.
        nodes: what it computes, or a tile of it.
        group: the nodes that this call and others in a row compute together.
        writes: the arrays that it fills.
        function: what it calls: "NumPy", "BLAS", the name of a C function; else "Python".
        source: the C that was written for it and others of its plan; empty if there is none.
        parts: the calls that it makes, one after the other, if there are several.
        kept: what must live as long as the call, because C knows its address only.
    """

    run: Callable[[], object]
    nodes: tuple[Node, ...]
    group: tuple[Node, ...]
    writes: tuple[Array, ...]
    function: str = "Python"
    source: str = ""
    parts: tuple[Call, ...] = ()
    kept: object = None


def each(calls: Iterable[Call]) -> list[Call]:
    """The calls, with those that make several taken apart."""
    return [part for call in calls for part in call.parts or (call,)]


def call_of(work: Instruction, run: Callable[[], object], function: str = "Python") -> Call:
    """The one call that computes an instruction."""
    return Call(run, work.nodes, work.nodes, tuple(work.outputs), function)


class Backend:
    """Who computes instructions.

    A class of its own has `lowering = Table()`. A lowering is given an instruction and the backend. What it
    returns is what `calls` takes; here that is a list of calls. None: another backend is to compute the
    instruction.

    Attributes:
        name: what `Session.kernels` says.
        scratch: memory that the calls of the plan that is being made use while they run.
        lowering: the table. A group of several elementwise nodes is looked up as `Elementwise`, one that ends
            with a reduction as that.
    """

    name: ClassVar[str]
    scratch: Scratch
    lowering: ClassVar[Table[Any]]

    def fuses(self, op: Properties) -> bool:
        """Whether it computes the op, which its table has a lowering for, in groups.

        By default elementwise ones, but for those with a lowering of their own. A backend that says so of a
        reduction is given it at the end of groups. It has to compute all groups of ops of which it says so.
        """
        general = (self.lowering.find(Elementwise), self.lowering.find(Op))
        return op.is_elementwise and self.lowering.find(type(op)) in general

    def lower(self, work: Instruction) -> Any:
        """What the table's lowering makes of the instruction; None if there is none, or if it declines."""
        last = work.nodes[-1].op if work.node.op.is_elementwise else work.node.op
        op = Elementwise if len(work.nodes) > 1 and last.is_elementwise else type(last)
        lowering = self.lowering.find(op)
        return lowering(work, self) if lowering else None

    def prepare(self, lowered: Sequence[Any]) -> None:
        """Make ready all that the lowerings of one plan have returned, as by compiling it together."""

    def calls(self, lowered: Sequence[Any]) -> list[Call]:
        """The calls of instructions in a row."""
        return [call for calls in lowered for call in calls]


def fuses(backends: Sequence[Backend], op: Properties) -> bool:
    """Whether the first of the backends that has a lowering for the op computes it in groups."""
    return next((backend.fuses(op) for backend in backends if backend.lowering.find(type(op))), False)


def assembled(
    phases: Sequence[Iterable[Instruction]], backends: Sequence[Backend], scratch: Scratch
) -> list[list[Call]]:
    """The calls of each phase; the first of the backends that computes an instruction does.

    Raises:
        GraphError: none does.
        CompilerError: the C compiler refused.
        StorageError: the cache of native kernels cannot be used.
    """
    for backend in backends:
        backend.scratch = scratch
    lowered = [[_lowered(work, backends) for work in phase] for phase in phases]
    for backend in backends:
        backend.prepare([made for phase in lowered for whose, made in phase if whose is backend])
    result = []
    for phase in lowered:
        calls: list[Call] = []
        for backend, neighbours in groupby(phase, key=lambda pair: pair[0]):
            calls += backend.calls([made for _, made in neighbours])
        result.append(calls)
    return result


def _lowered(work: Instruction, backends: Sequence[Backend]) -> tuple[Backend, Any]:
    for backend in backends:
        made = backend.lower(work)
        if made is not None:
            return backend, made
    raise GraphError(
        f"no backend computes {work.node.op.label}",
        where=work.node.origin.source,
        fix="give the session NumPy() as the last of its backends",
    )
