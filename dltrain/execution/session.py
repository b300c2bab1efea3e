"""Session: the variables' values, and running the graph."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NoReturn, TypeVar, get_args

from dltrain.autodiff.graph import Graph, Tensor, TensorLike, Variable, default_graph
from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Array, as_array, whole
from dltrain.backends.backend import Backend
from dltrain.backends.c import C
from dltrain.backends.c.compiler import find_compiler
from dltrain.backends.memory import array_of
from dltrain.backends.numpy import NumPy
from dltrain.compiler.planning import PASSES
from dltrain.compiler.storage import Storage
from dltrain.errors import CompilerError, DltrainWarning, GraphError, StorageError
from dltrain.execution.compile import compile_plan
from dltrain.execution.fetches import Fetches, program_of, structured
from dltrain.execution.function import Function
from dltrain.execution.lock import SessionLock
from dltrain.execution.plan import Plan

Kernels = Literal["numpy", "native", "auto"]
Made = TypeVar("Made")


class Session:
    """Holds the values of a graph's variables from run to run.

    A variable gets its initial value when the session first needs it; there is nothing to initialise.

    Arguments:
        graph: default the default graph.
        passes: the compiler's passes to use, default all.
        kernels: "numpy", or "native" for C that is compiled on this machine, or "auto" for native kernels
            where there is a C compiler, with a `DltrainWarning` where it is of no use. The results of the two
            differ by rounding.
        threads: how many native kernels use; default as many as BLAS has been given when the session is made.
        backends: who computes, in place of what `kernels` says; of an op the first that can.

    Raises:
        GraphError: an unknown pass, unknown kernels, no thread, or what is no backend.
        CompilerError: "native" kernels, and no C compiler, or one that refuses.
        StorageError: "native" kernels, and no cache to keep them in.
    """

    def __init__(
        self,
        graph: Graph | None = None,
        *,
        passes: frozenset[str] = PASSES,
        kernels: Kernels = "auto",
        threads: int | None = None,
        backends: Sequence[Backend] | None = None,
    ) -> None:
        self.graph = graph or default_graph()
        if unknown := passes - PASSES:
            raise GraphError(f"unknown pass {min(unknown)!r}", fix=f"use some of {', '.join(sorted(PASSES))}")
        if kernels not in get_args(Kernels):
            raise GraphError(f"unknown kernels {kernels!r}", fix=f"use one of {', '.join(get_args(Kernels))}")
        if threads is not None and whole(threads, "threads") < 1:
            raise GraphError(f"threads={threads}: none would compute", fix="give 1 or more")
        for backend in backends or ():
            if not isinstance(backend, Backend):
                raise GraphError(f"{backend!r} is no backend", fix="give objects, as [NumPy()]")
        self._passes = passes
        self._may_fall_back = kernels == "auto" and backends is None
        self._backends: Sequence[Backend] = backends or [NumPy()]
        if backends is None and kernels != "numpy" and (c := self._or_numpy(lambda: self._native(threads))):
            self._backends = [c, NumPy()]
        self._storage = Storage()
        self._functions: dict[Program, Function] = {}  # of `run`
        self.lock = SessionLock()

    def __reduce__(self) -> NoReturn:
        raise GraphError(
            "a session cannot be pickled or copied",
            why="its plans hold addresses of memory and compiled code",
            fix="make a new Session of the same graph, and give it state() by load_state()",
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def kernels(self) -> str:
        """Which kernels the session uses: "native", "numpy", or the name of the first of its backends."""
        return self._backends[0].name

    def _native(self, threads: int | None) -> C | None:
        """The backend of native kernels; None where there is no C compiler and need not be."""
        compiler = find_compiler()
        if compiler is not None:
            return C(compiler, threads)
        if not self._may_fall_back:
            raise CompilerError(
                "there is no C compiler",
                why="native kernels need one",
                fix="install one, or choose NumPy kernels",
            )
        return None

    def run(self, fetches: Fetches, feed_dict: Mapping[Tensor, TensorLike] | None = None) -> Any:
        """Compute the fetches, then commit the updates among them, all or none.

        Arguments:
            fetches: see `Fetches`.
            feed_dict: values for placeholders (or for any tensor, in place of its own).

        Returns:
            the fetches' values in the same structure: arrays that belong to the caller, Python numbers for
            tensors without dimensions, None for updates.

        Raises:
            GraphError: a feed does not fit, a placeholder is not fed, or a kernel refused its input.
            DivergedError: what must be finite for the updates is not; nothing was committed.
        """
        feeds = feed_dict or {}
        program = program_of(fetches, feeds)
        function = self._functions.get(program)
        if function is None:
            function = self._functions[program] = self.compile(program)
        return structured(fetches, iter(function.results(list(feeds.values()))))

    def make_callable(
        self, fetches: Fetches, inputs: Sequence[Tensor] = (), *, require_finite: Sequence[Tensor] = ()
    ) -> Function:
        """The run as a plain function of the inputs' values; compiled once for each set of their sizes.

        Arguments:
            require_finite: tensors that must be finite, else nothing is committed and DivergedError raised.

        Raises:
            GraphError: a fetch or an input is not of this session's graph.
        """
        return self.compile(program_of(fetches, inputs, require_finite), fetches)

    def compile(self, program: Program, structure: Fetches = None) -> Function:
        """The program as a function; its plans are made when it is first called with inputs of new sizes.

        Arguments:
            structure: in which the function returns the program's fetches; default a tuple.

        Raises:
            GraphError: a tensor of the program is not of this session's graph, or cannot stand for another.
        """
        updates = program.updates
        pairs = (tensor for pair in (*updates.pairs, *program.substitutions) for tensor in pair)
        for tensor in (*program.fetches, *program.inputs, *program.guards, *updates.guards, *pairs):
            if not isinstance(tensor, Tensor) or tensor.graph is not self.graph:
                is_inner = isinstance(tensor, Tensor) and tensor.graph.outer is not None
                why = "it is of the body of a loop" if is_inner else ""
                raise GraphError(f"{tensor!r} is no tensor of this session's graph", why=why)
        for tensor, other in program.substitutions:
            if tensor.spec != other.spec:
                raise GraphError(f"{other.name} {other.spec} cannot stand for {tensor.name} {tensor.spec}")
        return Function(self, program, program.fetches if structure is None else structure)

    def plan(self, program: Program, sizes: Mapping[str, int], given: Mapping[Tensor, Array]) -> Plan:
        """The program compiled for these sizes of its named dimensions, and these arrays as memory of inputs.

        See `compile_plan` for errors.
        """
        self._prepare(self.graph.variables)

        def compiled() -> Plan:
            return compile_plan(program, sizes, self._storage, self._passes, self._backends, given)

        was_collecting = gc.isenabled()
        gc.disable()  # it would go through all nodes again and again, half of the time
        try:
            return self._or_numpy(compiled) or compiled()
        finally:
            if was_collecting:
                gc.enable()

    def value(self, variable: Variable) -> Array:
        """A copy of the variable's value."""
        with self.lock:
            self._prepare([variable])
            return array_of(self._storage[variable]).copy()

    def assign(self, variable: Variable, value: TensorLike) -> None:
        """Give the variable a value.

        Raises:
            GraphError: the value's shape or dtype is not the variable's.
        """
        array = as_array(value, variable.dtype)
        if array.shape != variable.shape:
            raise GraphError(
                f"variable {variable.name!r} is {variable.spec}, the value's shape {array.shape}"
            )
        with self.lock:
            self._prepare([variable])
            array_of(self._storage[variable])[...] = array

    def state(self) -> dict[str, Array]:
        """Copies of the values of all variables of the graph, by name."""
        with self.lock:
            return {variable.name: self.value(variable) for variable in self.graph.variables}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Give all variables of the graph the values of a `state()`, all or none.

        Raises:
            GraphError: a variable is missing, unknown, or of another shape or dtype.
        """
        variables = {variable.name: variable for variable in self.graph.variables}
        if missing := variables.keys() - state.keys():
            raise GraphError(f"no value for variable {min(missing)!r}", why=f"{len(missing)} are missing")
        if unknown := state.keys() - variables.keys():
            raise GraphError(
                f"no variable is called {min(unknown)!r}", why=f"{len(unknown)} values are left over"
            )
        for name, variable in variables.items():
            array = state[name]
            if (array.shape, array.dtype) != (variable.shape, variable.dtype):
                raise GraphError(
                    f"variable {name!r} is {variable.spec} but its value {array.dtype}{list(array.shape)}"
                )
        with self.lock:
            self._allocate()
            for name, variable in variables.items():
                array_of(self._storage[variable])[...] = state[name]

    def _or_numpy(self, natively: Callable[[], Made]) -> Made | None:
        """What `natively` makes; with "auto" None where it fails, and NumPy's kernels from then on."""
        try:
            return natively()
        except (CompilerError, StorageError) as error:
            if not self._may_fall_back:
                raise
            self._backends = [NumPy()]
            warnings.warn(DltrainWarning(f"NumPy kernels are used: {error}"), stacklevel=2)
            return None

    def _allocate(self) -> list[Variable]:
        """Memory for variables that have none yet; returns those."""
        new = [variable for variable in self.graph.variables if variable not in self._storage]
        self._storage.allocate(new)
        return new

    def _prepare(self, variables: Sequence[Variable]) -> None:
        """Memory and initial values for all variables of the graph, if one of `variables` has none."""
        if all(variable in self._storage for variable in variables):
            return
        for variable in self._allocate():
            initial = variable.initial
            value = self.run(initial) if isinstance(initial, Tensor) else initial
            array_of(self._storage[variable])[...] = value
