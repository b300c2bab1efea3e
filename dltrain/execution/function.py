"""Function: a program that a session runs, compiled once for each set of sizes."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from dltrain.autodiff.graph import Tensor, TensorLike
from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Array, as_array
from dltrain.errors import GraphError
from dltrain.execution.fetches import Fetches, structured
from dltrain.execution.plan import Plan

if TYPE_CHECKING:
    from dltrain.execution.session import Session


class Function:
    """A program as a function of its inputs' values; see `Session.compile`.

    Attributes:
        program: what it computes.
    """

    def __init__(self, session: Session, program: Program, structure: Fetches) -> None:
        self._session, self._structure = session, structure
        self.program = program
        dimensions = [name for tensor in program.inputs for name in tensor.spec.names]
        self._dimensions = tuple(dict.fromkeys(dimensions))
        self._bound: dict[tuple[int, ...], BoundFunction] = {}

    def __call__(self, *values: TensorLike) -> Any:
        """Run on these values, one for each input; see `Session.run`."""
        return structured(self._structure, iter(self.results(values)))

    def results(self, values: Sequence[TensorLike]) -> list[Array]:
        """The values of the program's fetches for these of its inputs; for errors see `Session.run`."""
        inputs = self.program.inputs
        if len(values) != len(inputs):
            raise GraphError(f"{len(values)} values given for {len(inputs)} inputs")
        arrays = [_as_fed(value, tensor) for value, tensor in zip(values, inputs, strict=True)]
        sizes = _bound_sizes(inputs, arrays)
        with self._session.lock:
            plan = self.bind(**sizes).plan
            for buffer, array in zip(plan.inputs, arrays, strict=True):
                np.copyto(buffer, array)
            return plan.run()

    def bind(self, **sizes: int) -> BoundFunction:
        """The function for given sizes of the named dimensions, to be fed by filling its own input arrays.

        Compiled when first asked for.

        Raises:
            GraphError: a named dimension of an input has no size; see `compile_plan` for more.
        """
        try:
            key = tuple([sizes[name] for name in self._dimensions])
        except KeyError as error:
            raise GraphError(f"dimension {error} has no size", fix="name it: bind(batch=128)") from None
        bound = self._bound.get(key)
        if bound is None:
            with self._session.lock:
                plan = self._session.plan(self.program, dict(zip(self._dimensions, key, strict=True)))
                bound = self._bound.setdefault(key, BoundFunction(self._session, plan, self._structure))
        return bound


class BoundFunction:
    """A `Function` for one set of sizes.

    Attributes:
        inputs: arrays, one for each input, to be filled before each call.
        plan: what it runs.
    """

    def __init__(self, session: Session, plan: Plan, structure: Fetches) -> None:
        self._session, self._structure = session, structure
        self.inputs, self.plan = plan.inputs, plan

    def __call__(self, limit: float = inf) -> Any:
        """Run on what `inputs` hold; see `Session.run`, and `Plan.run` for the limit."""
        with self._session.lock:
            results = self.plan.run(limit)
        return structured(self._structure, iter(results))


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


def _bound_sizes(inputs: Sequence[Tensor], arrays: Sequence[Array]) -> dict[str, int]:
    """The size of each named dimension.

    Raises:
        GraphError: two inputs give one name different sizes.
    """
    sizes: dict[str, int] = {}
    first: dict[str, Tensor] = {}
    for tensor, array in zip(inputs, arrays, strict=True):
        for dimension, size in zip(tensor.shape, array.shape, strict=True):
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
