"""PlannedFunction: a run as a function, compiled once for each set of its inputs' sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dltrain.autodiff.graph import Graph, Tensor, TensorLike, Updates, Variable
from dltrain.autodiff.spec import Array, as_array
from dltrain.errors import GraphError
from dltrain.execution.compile import Plan

Fetches = Any
"""A Tensor or Updates, or a list, tuple or dict of fetches; a run returns the same structure of values."""


class PlannedFunction:
    """A function of the inputs' values; see `Session.make_callable`."""

    def __init__(
        self,
        graph: Graph,
        compile_plan: Callable[[PlannedFunction, Mapping[str, int]], Plan],
        fetches: Fetches,
        inputs: Sequence[Tensor],
        require_finite: Sequence[Tensor],
    ) -> None:
        self.tensors: list[Tensor] = []
        self.updates: tuple[tuple[Variable, Tensor], ...] = ()
        self._collect(fetches)
        self.inputs = tuple(inputs)
        self.guards = tuple(require_finite)
        self._compile = compile_plan
        self._fetches = fetches
        self._plans: dict[tuple[tuple[int, ...], ...], Plan] = {}
        for tensor in (*self.tensors, *self.inputs, *self.guards):
            if not isinstance(tensor, Tensor) or tensor.graph is not graph:
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
            plan = self._plans[shapes] = self._compile(self, sizes)
        return plan

    def _collect(self, fetches: Fetches) -> None:
        match fetches:
            case Tensor():
                self.tensors.append(fetches)
            case Updates():
                self.updates = (Updates(self.updates) + fetches).pairs
            case list() | tuple():
                for fetch in fetches:
                    self._collect(fetch)
            case dict():
                for fetch in fetches.values():
                    self._collect(fetch)
            case _:
                raise GraphError(
                    f"{fetches!r} cannot be fetched",
                    fix="fetch tensors, updates, or lists, tuples, dicts of them",
                )

    def _structured(self, results: Sequence[Array]) -> Any:
        return _structured(self._fetches, iter(results))


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


def _structured(fetches: Fetches, results: Iterator[Array]) -> Any:
    """The next results in the structure of the fetches."""
    match fetches:
        case Tensor():
            array = next(results)
            return array.item() if array.ndim == 0 else array
        case Updates():
            return None
        case dict():
            return {key: _structured(fetch, results) for key, fetch in fetches.items()}
        case tuple():
            return tuple([_structured(fetch, results) for fetch in fetches])
        case _:
            return [_structured(fetch, results) for fetch in fetches]


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
