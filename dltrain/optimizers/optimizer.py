"""Optimizer: what makes an objective small, step by step, as graph."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from dltrain.autodiff.graph import Tensor, Updates, Variable
from dltrain.autodiff.leaves import as_tensor
from dltrain.config import Component
from dltrain.optimizers.objective import Objective


class Optimizer(Component, kind="optimizer"):
    """A method that makes an objective small. All it knows of the loss is what `Objective` tells."""

    @abstractmethod
    def step(self, objective: Objective, total_steps: int | None = None) -> Updates:
        """A step: new values of the objective's variables, and of the graph's step, which it advances.

        Arguments:
            total_steps: of the whole training, for schedules that need it.

        Raises:
            ConfigError: the schedule needs `total_steps`.
        """

    def minimize(
        self, loss: Tensor, variables: Sequence[Variable] | None = None, total_steps: int | None = None
    ) -> Updates:
        """`step` of the `Objective` of a loss and variables; see these for arguments and errors."""
        return self.step(Objective(loss, variables), total_steps)

    def learning_rate_at(self, step: Tensor, total_steps: int | None = None) -> Tensor:
        """The learning rate of the update that `step` (int64 scalar) updates came before, a float64 scalar;
        1 for methods that have none.

        Raises:
            ConfigError: the schedule needs `total_steps`.
        """
        with step.graph:
            return as_tensor(1.0, "float64")
