"""Function: a program of a session, compiled once for each set of sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from dltrain.autodiff.graph import Tensor, TensorLike
from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Array
from dltrain.errors import GraphError
from dltrain.execution.feeds import bound_sizes, fed_arrays
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
        self._bound: dict[tuple[object, ...], BoundFunction] = {}

    def __call__(self, *values: TensorLike) -> Any:
        """Run on these values, one for each input; see `Session.run`."""
        return structured(self._structure, iter(self.results(values)))

    def results(self, values: Sequence[TensorLike]) -> list[Array]:
        """The values of the program's fetches for these of its inputs; for errors see `Session.run`."""
        arrays = fed_arrays(self.program.inputs, values)
        with self._session.lock:
            plan = self.bind(**bound_sizes(self.program.inputs, arrays)).plan
            for buffer, array in zip(plan.inputs, arrays, strict=True):
                np.copyto(buffer, array)
            return plan.run()

    def bind(self, given: Mapping[Tensor, Array] | None = None, /, **sizes: int) -> BoundFunction:
        """The function for given sizes of the named dimensions, to be fed by filling its own input arrays.

        Compiled when first asked for.

        Arguments:
            given: arrays that inputs lie in: read at each run where they are, never written, and kept as
                long as the function. Each is of its input's dtype, C-contiguous and aligned. The sizes of its
                dimensions need not be named besides.

        Raises:
            GraphError: a named dimension of an input has no size, or an array cannot be an input's memory;
                see `compile_plan` for more.
        """
        given = given or {}
        key = (*map(sizes.get, self._dimensions), *given, *map(id, given.values()))
        bound = self._bound.get(key)
        if bound is None:
            with self._session.lock:
                bound = self._bound.setdefault(key, self._bind(given, sizes))
        return bound

    def _bind(self, given: Mapping[Tensor, Array], sizes: dict[str, int]) -> BoundFunction:
        for tensor, array in given.items():
            if tensor not in self.program.inputs:
                raise GraphError(f"{tensor.name} {tensor.spec} is no input of the function")
            found = zip(tensor.shape, array.shape, strict=False)
            sizes = {name: size for name, size in found if isinstance(name, str)} | sizes
        for name, size in sizes.items():
            if name not in self._dimensions:
                known = ", ".join(self._dimensions) or "none"
                raise GraphError(f"no input has a dimension {name!r}", why=f"their names are {known}")
            if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 0:
                raise GraphError(f"dimension {name!r} cannot be {size!r}", fix="give a size from 0 up")
        for name in self._dimensions:
            if name not in sizes:
                raise GraphError(f"dimension {name!r} has no size", fix="name it: bind(batch=128)")
        plan = self._session.plan(self.program, sizes, given)
        return BoundFunction(self._session, plan, self._structure, given)


class BoundFunction:
    """A `Function` for one set of sizes.

    Attributes:
        inputs: arrays to be filled before each call, one for each input that does not lie in an array given.
        plan: what it runs.
    """

    def __init__(
        self, session: Session, plan: Plan, structure: Fetches, given: Mapping[Tensor, Array]
    ) -> None:
        self._session, self._structure = session, structure
        self._given = dict(given)  # kept: their addresses tell functions apart
        self.inputs, self.plan = plan.inputs, plan

    def __call__(self, limit: float = inf) -> Any:
        """Run on what `inputs` hold; see `Session.run`, and `Plan.run` for the limit."""
        with self._session.lock:
            results = self.plan.run(limit)
        return structured(self._structure, iter(results))
