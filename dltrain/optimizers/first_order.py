"""FirstOrder: from the gradients of a loss to the new values of the variables, as graph.

All variables of a dtype are packed into one vector, and so are their gradients and each of the optimizer's
own quantities (slots). An update is a formula over these vectors, a few elementwise operations long, which
the plan runs tile by tile in cache; where variables lie side by side in memory, packing copies nothing.
Whatever is one number a step (the learning rate, the corrections of adam) is worked out in float64 first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Annotated

import numpy as np
from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor, Updates, Variable, name_scope
from dltrain.autodiff.leaves import as_tensor
from dltrain.autodiff.ops.joins import unpacked
from dltrain.errors import GraphError
from dltrain.optimizers.objective import Objective
from dltrain.optimizers.optimizer import Optimizer
from dltrain.optimizers.schedules import Constant, Schedule

Pairs = Sequence[tuple[Tensor, Variable]]
LearningRate = Annotated[float, Field(gt=0, description="size of a step, before the schedule's factor")]


class Step:
    """What an update formula is a function of. Vectors are packed from all variables, `(numbers,)`.

    Attributes:
        parameters: p, the variables before the update.
        gradient: g, clipped.
        learning_rate: scalar in the dtype of the vectors.
        count: t, float64 scalar, 1 for the first update.
        variables: what `parameters` is packed from.
        slots: the optimizer's own vectors by name, as they are before the update, 0 before the first.
        kept: their values after it.
    """

    def __init__(
        self, gradient: Tensor, variables: Sequence[Variable], learning_rate: Tensor, count: Tensor
    ) -> None:
        self.parameters, self.gradient, self.variables = ops.pack(variables), gradient, variables
        self.learning_rate, self.count = self.scalar(learning_rate), count
        self.slots: dict[str, Variable] = {}
        self.kept: dict[str, Tensor] = {}

    def scalar(self, value: Tensor) -> Tensor:
        """A float64 scalar in the dtype of the vectors."""
        return ops.cast(value, self.gradient.dtype)

    def slot(self, name: str) -> Tensor:
        """The vector that the optimizer keeps under this name, before the update."""
        if name not in self.slots:
            zeros = np.zeros(self.gradient.spec.sizes, self.gradient.dtype)
            self.slots[name] = Variable(zeros, trainable=False, name=name)
        return self.slots[name]

    def keep(self, name: str, value: Tensor) -> Tensor:
        """Gives a slot its value after the update, and gives that back."""
        self.kept[name] = value
        return value

    def average(self, name: str, x: Tensor, decay: float) -> Tensor:
        """The exponential moving average a <- decay a + (1 - decay) x, after the update.

        The slot holds the sum a / (1 - decay), which takes an operation less for each number.
        """
        return self.keep(name, decay * self.slot(name) + x) * (1 - decay)

    def average_before(self, name: str, decay: float) -> Tensor:
        """The same before the update."""
        return self.slot(name) * (1 - decay)

    def weights(self) -> Tensor:
        """1 where a number of the vector belongs to a weight (`Variable.is_weight`), else 0."""
        parts = [np.full(prod(v.spec.sizes), float(v.is_weight)) for v in self.variables]
        return as_tensor(np.concatenate(parts), self.parameters.dtype)


class FirstOrder(Optimizer):
    """A first-order method: p <- p - learning_rate * (something made of the gradient)."""

    learning_rate: LearningRate = Field(kw_only=False)
    schedule: Schedule = Field(default=Constant(), description="how the learning rate changes over the steps")
    clip_value: float | None = Field(
        default=None, gt=0, description="limit of each number of the gradient's absolute value; null for none"
    )
    clip_norm: float | None = Field(
        default=None, gt=0, description="limit of the Euclidean norm of all gradients together; null for none"
    )

    @abstractmethod
    def update(self, step: Step) -> Tensor:
        """The formula: the parameters after the step; what it keeps for the next are slots of the step."""

    def step(self, objective: Objective, total_steps: int | None = None) -> Updates:
        """See `apply_gradients` for what a run refuses."""
        pairs = list(zip(objective.gradient, objective.variables, strict=True))
        return self.apply_gradients(pairs, total_steps)

    def compute_gradients(
        self, loss: Tensor, variables: Sequence[Variable] | None = None
    ) -> list[tuple[Tensor, Variable]]:
        """The loss' gradient for each variable, as (gradient, variable); see `Objective`."""
        objective = Objective(loss, variables)
        return list(zip(objective.gradient, objective.variables, strict=True))

    def apply_gradients(self, pairs: Pairs, total_steps: int | None = None) -> Updates:
        """The update of each variable by its gradient; it also advances the graph's step.

        A run refuses it, and changes no variable, where a gradient is nan or infinite (after `clip_value`)
        or, with `clip_norm`, the norm of all (in float32: beyond 1.8e19). The new values are not looked at:
        where the formula overflows on a finite gradient (a huge learning rate, the squares of adam beyond
        1e19), they are committed; training finds it by the next step's loss or when it saves.

        Arguments:
            pairs: (gradient, variable), as `compute_gradients` gives them.
            total_steps: of the whole training, for schedules that need it.

        Raises:
            GraphError: there are no pairs, or a gradient is not of its variable's spec.
            ConfigError: the schedule needs `total_steps`.
        """
        if not pairs:
            raise GraphError("there are no gradients to apply")
        for gradient, variable in pairs:
            if gradient.spec != variable.spec:
                raise GraphError(
                    f"variable {variable.name!r} is {variable.spec} but its gradient {gradient.spec}",
                    where=gradient.source,
                )
        graph = pairs[0][1].graph
        with graph, name_scope(self.component_name):
            rate = self.learning_rate_at(graph.step, total_steps)
            count = ops.cast(graph.step + 1, "float64")
            by_dtype: dict[str, list[tuple[Tensor, Variable]]] = {}
            for gradient, variable in pairs:
                by_dtype.setdefault(variable.dtype.name, []).append((gradient, variable))
            packed = [ops.pack([g for g, _ in group], name="gradient") for group in by_dtype.values()]
            if limit := self.clip_value:
                packed = [ops.minimum(ops.maximum(g, -limit), limit) for g in packed]
            updates = [(graph.step, graph.step + 1)]
            clipped, guards = self._clipped(packed)
            for gradient, group in zip(clipped, by_dtype.values(), strict=True):
                updates += self._updated(gradient, [variable for _, variable in group], rate, count)
        return Updates(updates, guards=guards)

    def learning_rate_at(self, step: Tensor, total_steps: int | None = None) -> Tensor:
        with step.graph, name_scope("learning_rate"):
            factor = self.schedule.factor(ops.cast(step, "float64"), total_steps)
            return as_tensor(self.learning_rate, "float64") * factor

    def _clipped(self, packed: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """g * min(1, clip_norm / |g|), |g| the norm of all gradients together (Pascanu et al., 2013).

        Returns:
            the clipped gradients, and what must be finite: the gradients, and |g|, since an infinite sum of
            finite squares would make them all 0.
        """
        if self.clip_norm is None:
            return packed, packed
        first, *others = [ops.cast(ops.sum(ops.square(g)), "float64") for g in packed]
        norm = ops.sqrt(sum(others, first))
        scale = self.clip_norm / ops.maximum(norm, self.clip_norm)
        # A vector of one: a guard without dimensions is held to the limit of a loss.
        guards = [*packed, ops.reshape(norm, (1,), name="norm")]
        return [g * ops.cast(scale, g.dtype) for g in packed], guards

    def _updated(
        self, gradient: Tensor, variables: Sequence[Variable], rate: Tensor, count: Tensor
    ) -> list[tuple[Variable, Tensor]]:
        """The new values of the slots, and of `variables`, which the formula gives as one vector."""
        step = Step(gradient, variables, rate, count)
        parameters = self.update(step)
        pairs = [(slot, step.kept[name]) for name, slot in step.slots.items()]
        return [*pairs, *zip(variables, unpacked(parameters, variables), strict=True)]
