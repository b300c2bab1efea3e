"""Variable and Updates: the state that a session keeps, and how a run changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import DTypeLike

from dltrain.autodiff.graph import Op, Tensor, TensorLike, default_graph
from dltrain.autodiff.leaves import as_array, as_tensor
from dltrain.autodiff.spec import Spec
from dltrain.errors import GraphError


@dataclass(frozen=True, eq=False)
class ReadVariable(Op):
    """The value of a variable before the run."""


class Variable(Tensor):
    """A tensor whose value a `Session` keeps from run to run; reading it gives the value before the run.

    Arguments:
        initial: the first value: array, number, or a tensor (with sizes for all dimensions) that is
            computed when a session first needs the variable.
        trainable: whether optimizers change it unless told otherwise.
        dtype: default that of `initial`, float32 for Python's floats.
        name: default "variable".

    Raises:
        GraphError: the shape has a named dimension, or the dtype is none that tensors have.
    """

    __slots__ = ("initial", "trainable")

    def __init__(
        self,
        initial: TensorLike,
        *,
        trainable: bool = True,
        dtype: DTypeLike | None = None,
        name: str = "variable",
    ) -> None:
        value = initial if isinstance(initial, Tensor) else as_array(initial, dtype).copy()
        spec = value.spec if isinstance(value, Tensor) else Spec(value.shape, value.dtype)
        _ = spec.sizes  # refuses named dimensions
        self.initial = value
        self.trainable = trainable
        super().__init__(ReadVariable(), (), spec, name, default_graph())
        self.graph.variables.append(self)

    def assign(self, value: TensorLike) -> Updates:
        """The update, to be run in a session, that gives the variable a new value."""
        return Updates([(self, as_tensor(value, self.dtype))])


class Updates:
    """A fetchable set of (variable, new value): a run computes all values, then commits all or none.

    Raises:
        GraphError: a variable is named twice, or a value's spec is not its variable's.
    """

    def __init__(self, pairs: Sequence[tuple[Variable, Tensor]]) -> None:
        self.pairs = tuple(pairs)
        seen: set[Variable] = set()
        for variable, value in self.pairs:
            if variable in seen:
                raise GraphError(
                    f"variable {variable.name!r} is updated twice in one run", where=value.source
                )
            if value.spec != variable.spec:
                raise GraphError(
                    f"variable {variable.name!r} is {variable.spec} but its new value is {value.spec}",
                    where=value.source,
                )
            seen.add(variable)

    def __add__(self, other: Updates) -> Updates:
        return Updates(self.pairs + other.pairs)
