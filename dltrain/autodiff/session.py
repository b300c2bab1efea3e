"""Session: the variables' values, and running the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from dltrain.autodiff.compiler import PASSES, Plan, compile_plan
from dltrain.autodiff.compiler.native.library import find_compiler
from dltrain.autodiff.graph import Graph, Tensor, TensorLike, default_graph
from dltrain.autodiff.leaves import as_array
from dltrain.autodiff.spec import Array
from dltrain.autodiff.storage import Storage
from dltrain.autodiff.variable import Updates, Variable
from dltrain.errors import GraphError

Kernels = Literal["numpy", "native", "auto"]
Fetches = Any
"""A Tensor or Updates, or a list, tuple or dict of fetches; a run returns the same structure of values."""


class Session:
    """Holds the values of a graph's variables from run to run.

    A variable gets its initial value when the session first needs it; there is nothing to initialise.

    Arguments:
        graph: default the default graph.
        passes: the compiler's passes to use, default all.
        kernels: "numpy", or "native" for C that is compiled on this machine, or "auto" for native kernels
            where there is a C compiler. The results of the two differ by rounding.

    Raises:
        GraphError: an unknown pass; or native kernels without a C compiler.
    """

    def __init__(
        self,
        graph: Graph | None = None,
        *,
        passes: frozenset[str] = PASSES,
        kernels: Kernels = "numpy",
    ) -> None:
        self.graph = graph or default_graph()
        if unknown := passes - PASSES:
            raise GraphError(f"unknown pass {min(unknown)!r}", fix=f"use some of {', '.join(sorted(PASSES))}")
        self._passes = passes
        self._c_compiler = None if kernels == "numpy" else find_compiler()
        if kernels == "native" and self._c_compiler is None:
            raise GraphError(
                "there is no C compiler", why="native kernels need one", fix='use kernels="numpy"'
            )
        self._storage = Storage()
        self._callables: dict[Any, PlannedFunction] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def kernels(self) -> str:
        """Which kernels the session uses: "native" or "numpy"."""
        return "numpy" if self._c_compiler is None else "native"

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
        """
        feeds = dict(feed_dict or {})
        key = (_structure(fetches), tuple(feeds))
        if key not in self._callables:
            self._callables[key] = self.make_callable(fetches, list(feeds))
        return self._callables[key](*feeds.values())

    def make_callable(
        self, fetches: Fetches, inputs: Sequence[Tensor] = (), *, require_finite: Sequence[Tensor] = ()
    ) -> PlannedFunction:
        """The run as a plain function of the inputs' values; compiled once for each set of their sizes.

        Arguments:
            require_finite: tensors that must be finite, else nothing is committed and DivergedError raised.

        Raises:
            GraphError: a fetch or an input is not of this session's graph.
        """
        return PlannedFunction(self, fetches, inputs, require_finite)

    def value(self, variable: Variable) -> Array:
        """A copy of the variable's value."""
        self._prepare([variable])
        return self._storage.array(variable).copy()

    def assign(self, variable: Variable, value: TensorLike) -> None:
        """Give the variable a value.

        Raises:
            GraphError: the value's shape or dtype is not the variable's.
        """
        self._prepare([variable])
        array = as_array(value, variable.dtype)
        if array.shape != variable.shape:
            raise GraphError(
                f"variable {variable.name!r} is {variable.spec}, the value's shape {array.shape}"
            )
        self._storage.array(variable)[...] = array

    def state(self) -> dict[str, Array]:
        """Copies of the values of all variables of the graph, by name."""
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
        self._allocate()
        for name, variable in variables.items():
            self._storage.array(variable)[...] = state[name]

    def _compile(self, function: PlannedFunction, sizes: Mapping[str, int]) -> Plan:
        self._prepare(self.graph.variables)
        return compile_plan(
            function.tensors,
            function.updates,
            function.inputs,
            function.guards,
            sizes,
            self._storage,
            self._passes,
            self._c_compiler,
        )

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
            self._storage.array(variable)[...] = value


class PlannedFunction:
    """A function of the inputs' values; see `Session.make_callable`."""

    def __init__(
        self,
        session: Session,
        fetches: Fetches,
        inputs: Sequence[Tensor],
        require_finite: Sequence[Tensor],
    ) -> None:
        self.tensors: list[Tensor] = []
        self.updates: tuple[tuple[Variable, Tensor], ...] = ()
        self._collect(fetches, session.graph)
        self.inputs = tuple(inputs)
        self.guards = tuple(require_finite)
        self._session = session
        self._fetches = fetches
        self._plans: dict[tuple[tuple[int, ...], ...], Plan] = {}
        for tensor in (*self.tensors, *self.inputs, *self.guards):
            if not isinstance(tensor, Tensor) or tensor.graph is not session.graph:
                raise GraphError(f"{tensor!r} is no tensor of this session's graph")

    def __call__(self, *values: TensorLike) -> Any:
        """Run on these values, one for each input; see `Session.run`."""
        if len(values) != len(self.inputs):
            raise GraphError(f"{len(values)} values given for {len(self.inputs)} inputs")
        arrays = [_as_fed(value, tensor) for value, tensor in zip(values, self.inputs, strict=True)]
        plan = self._plan(tuple(array.shape for array in arrays))
        for buffer, array in zip(plan.inputs, arrays, strict=True):
            np.copyto(buffer, array)
        return self._structured(plan.run())

    def bind(self, **sizes: int) -> BoundFunction:
        """The function for given sizes of the named dimensions, to be fed by filling its own input arrays.

        Raises:
            GraphError: a named dimension of an input has no size.
        """
        shapes = tuple(tensor.spec.bind(sizes).sizes for tensor in self.inputs)
        return BoundFunction(self, self._plan(shapes))

    def _plan(self, shapes: tuple[tuple[int, ...], ...]) -> Plan:
        plan = self._plans.get(shapes)
        if plan is None:
            sizes = _bound_sizes(self.inputs, shapes)
            plan = self._plans[shapes] = self._session._compile(self, sizes)
        return plan

    def _collect(self, fetches: Fetches, graph: Graph) -> None:
        match fetches:
            case Tensor():
                self.tensors.append(fetches)
            case Updates():
                self.updates = (Updates(self.updates) + fetches).pairs
            case list() | tuple():
                for fetch in fetches:
                    self._collect(fetch, graph)
            case dict():
                for fetch in fetches.values():
                    self._collect(fetch, graph)
            case _:
                raise GraphError(
                    f"{fetches!r} cannot be fetched",
                    fix="fetch tensors, updates, or lists, tuples, dicts of them",
                )

    def _structured(self, results: Sequence[Array]) -> Any:
        remaining = iter(results)

        def build(fetches: Fetches) -> Any:
            match fetches:
                case Tensor():
                    array = next(remaining)
                    return array.item() if array.ndim == 0 else array
                case Updates():
                    return None
                case dict():
                    return {key: build(fetch) for key, fetch in fetches.items()}
                case tuple():
                    return tuple(build(fetch) for fetch in fetches)
                case _:
                    return [build(fetch) for fetch in fetches]

        return build(self._fetches)


class BoundFunction:
    """A `PlannedFunction` for one set of sizes.

    Attributes:
        inputs: arrays, one for each input, to be filled before each call.
    """

    def __init__(self, function: PlannedFunction, plan: Plan) -> None:
        self.inputs = plan.inputs
        self.plan = plan
        self._function = function

    def __call__(self) -> Any:
        """Run on what `inputs` hold; see `Session.run`."""
        return self._function._structured(self.plan.run())


def _structure(fetches: Fetches) -> Any:
    """The fetches as something that can be a dictionary's key."""
    match fetches:
        case list() | tuple():
            return type(fetches), tuple(_structure(fetch) for fetch in fetches)
        case dict():
            return dict, tuple((key, _structure(fetch)) for key, fetch in fetches.items())
        case _:
            return fetches


def _as_fed(value: TensorLike, tensor: Tensor) -> Array:
    """The value as an array that fits the tensor, named dimensions aside."""
    try:
        array = as_array(value, tensor.dtype)
    except GraphError as error:
        raise GraphError(f"{tensor.name} {tensor.spec} is fed", where=tensor.source, why=str(error)) from None
    fits = array.ndim == tensor.spec.rank and all(
        isinstance(dimension, str) or dimension == size
        for dimension, size in zip(tensor.shape, array.shape, strict=True)
    )
    if not fits:
        raise GraphError(
            f"{tensor.name} is {tensor.spec} but is fed an array of shape {array.shape}", where=tensor.source
        )
    return array


def _bound_sizes(inputs: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """The size of each named dimension.

    Raises:
        GraphError: two inputs give one name different sizes.
    """
    sizes: dict[str, int] = {}
    first: dict[str, Tensor] = {}
    for tensor, shape in zip(inputs, shapes, strict=True):
        for dimension, size in zip(tensor.shape, shape, strict=True):
            if isinstance(dimension, str) and sizes.setdefault(dimension, size) != size:
                other = first[dimension]
                raise GraphError(
                    f"{dimension} is {sizes[dimension]} in {other.name} {other.spec} "
                    f"but {size} in {tensor.name} {tensor.spec}",
                    where=tensor.source,
                )
            if isinstance(dimension, str):
                first.setdefault(dimension, tensor)
    return sizes
