"""Where training stands, besides the session's variables: all that resuming exactly needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import ConfigDict, Field

from dltrain.errors import RunError
from dltrain.training.run_config import Train

Count = Annotated[int, Field(ge=0, lt=2**62, strict=True)]
Number = Annotated[float, Field(strict=True)]


@dataclass
class TrainingState:
    """The trainer's own counters; plain data, saved with each checkpoint.

    The order of the examples is a function of seed and epoch, so it needs no state of its own.

    Attributes:
        step: updates made.
        epoch: the one that is being trained, from 1.
        batches: of this epoch that are done.
        examples: in those batches.
        loss_sum: over those examples.
        first_loss: that of the first step.
        learning_rate: of the last step.
        evaluated_step: the step after which the validation split was last evaluated.
        best_value: of the watched figure at the best checkpoint; None without a validation split.
        best_step: step of the best checkpoint; 0 before the first.
        best: validation figures there.
        final: validation figures at `evaluated_step`.
        stopping_value: the best so far of the figure that early stopping watches.
        waited: evaluations since then.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # of one that is read from a checkpoint

    step: Count = 0
    epoch: Count = 1
    batches: Count = 0
    examples: Count = 0
    loss_sum: Number = 0.0
    first_loss: Number = 0.0
    learning_rate: Number = 0.0
    evaluated_step: Count = 0
    best_value: Number | None = None
    best_step: Count = 0
    best: dict[str, Number] = field(default_factory=dict)
    final: dict[str, Number] = field(default_factory=dict)
    stopping_value: Number | None = None
    waited: Count = 0

    def check_fits(self, steps_per_epoch: int) -> None:
        """Raises RunError when these counters cannot be those of epochs of that many steps."""
        if self.batches > steps_per_epoch or self.step != (self.epoch - 1) * steps_per_epoch + self.batches:
            raise RunError(
                "checkpoint and config do not fit",
                why=f"batch {self.batches} of epoch {self.epoch} is not step {self.step} "
                f"where an epoch has {steps_per_epoch}",
                fix="restore the run's config.yaml, or start a new run",
            )

    @property
    def last_epoch(self) -> int:
        """The last epoch of which a batch was trained on."""
        return self.epoch if self.batches or self.epoch == 1 else self.epoch - 1

    def count_batch(self, examples: int, loss: float, learning_rate: float) -> None:
        """Notes that a step was made on a batch of that many examples, with that mean loss."""
        if self.step == 0:
            self.first_loss = loss
        self.step += 1
        self.batches += 1
        self.examples += examples
        self.loss_sum += loss * examples
        self.learning_rate = learning_rate

    def count_evaluation(
        self, validation: Mapping[str, float], train: Train, higher_is_better: Collection[str] = ()
    ) -> bool:
        """Notes the validation figures after this step. Returns whether they are the best yet.

        Without figures the last step is the best.

        Arguments:
            higher_is_better: the names of the figures of which more is better.
        """
        self.evaluated_step = self.step
        self.final = dict(validation)
        if validation and (stopping := train.early_stopping):
            value = validation[stopping.metric]
            improved = stopping.is_better(
                value,
                self.stopping_value,
                higher_is_better=stopping.metric in higher_is_better,
                by=stopping.min_delta,
            )
            self.stopping_value = value if improved else self.stopping_value
            self.waited = 0 if improved else self.waited + 1
        best = train.keep_best
        watched = validation[best.metric] if validation else None
        is_best = watched is None or best.is_better(
            watched, self.best_value, higher_is_better=best.metric in higher_is_better
        )
        if is_best:
            self.best_value, self.best_step, self.best = watched, self.step, dict(validation)
        return is_best

    def begin_epoch(self) -> None:
        """Notes that all batches of the epoch are done, and the next begins."""
        self.epoch += 1
        self.batches, self.examples, self.loss_sum = 0, 0, 0.0
