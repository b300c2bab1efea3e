"""Schedules: the learning rate as a function of the step."""

from __future__ import annotations

from abc import abstractmethod
from math import pi
from typing import Annotated

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.config import Component
from dltrain.errors import ConfigError
from dltrain.places import Key

Steps = Annotated[int, Field(ge=0)] | Annotated[float, Field(gt=0, lt=1)]
"""A number of steps, or as a fraction between 0 and 1 a share of all steps."""


class Schedule(Component, kind="schedule"):
    """The factor f(s) of the learning rate for the update that s updates came before: s = 0 for the first.

    With a warm-up of w steps f(s) = (s + 1) / w for s < w (Goyal et al., 2017, section 2.2); after it the
    schedule runs over the remaining steps, with s - w for s.
    """

    warmup: Steps = Field(default=0, description="steps in which the rate first grows; a fraction is of all")

    @abstractmethod
    def after_warmup(self, step: Tensor, total_steps: int | None) -> Tensor | float:
        """The factor `step` updates after the warm-up, of `total_steps` that remain after it."""

    def factor(self, step: Tensor, total_steps: int | None) -> Tensor | float:
        """The factor of the learning rate, as graph.

        Arguments:
            step: float64 scalar, the updates made so far.
            total_steps: of the whole training; None if unknown. After it the factor stays what it was last.

        Raises:
            ConfigError: the schedule needs `total_steps` and it is None.
        """
        warmup = self.steps("warmup", total_steps)
        remaining = None if total_steps is None else max(1, total_steps - warmup)
        later = self.after_warmup(ops.maximum(step - warmup, 0) if warmup else step, remaining)
        return ops.where(ops.less(step, warmup), (step + 1) / warmup, later) if warmup else later

    def steps(self, key: str, total_steps: int | None) -> int:
        """The value of a key of type `Steps` as a number of steps."""
        value: int | float = getattr(self, key)
        return value if isinstance(value, int) else round(value * self.total(total_steps))

    def total(self, total_steps: int | None) -> int:
        """
        Raises:
            ConfigError: it is None.
        """
        if total_steps is None:
            raise ConfigError(
                f"schedule {self.component_name} needs to know the number of steps",
                where=Key("optimizer", "schedule"),
                why="total_steps was not given",
                fix="pass total_steps to minimize() or apply_gradients()",
            )
        return total_steps


def progress(step: Tensor, last: int) -> Tensor:
    """From 0 at step 0 to 1 at step `last` and after it."""
    return ops.minimum(step / max(1, last), 1.0)


def cosine_between(start: float, end: float, progress: Tensor) -> Tensor:
    """Half a cosine wave from `start`, at progress 0, to `end`, at progress 1."""
    return (start + end) / 2 + (start - end) / 2 * ops.cos(progress * pi)


class Constant(Schedule, name="constant"):
    """f(s) = 1: the plain stochastic approximation (Robbins and Monro, 1951) without decay."""

    def after_warmup(self, step: Tensor, total_steps: int | None) -> Tensor | float:
        return 1.0


class _Decay(Schedule):
    decay_rate: float = Field(default=0.1, gt=0, le=1, description="factor of the rate each `decay_steps`")
    decay_steps: Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.3, description="steps from one factor to the next; a fraction is a share of all steps"
    )

    def decays(self, step: Tensor, total_steps: int | None) -> Tensor:
        """How many decays there were until `step`, with fractions."""
        return step / max(1, self.steps("decay_steps", total_steps))


class StepDecay(_Decay, name="step"):
    """f(s) = decay_rate^floor(s / decay_steps) (Krizhevsky et al., 2012, section 5, with 1/10)."""

    def after_warmup(self, step: Tensor, total_steps: int | None) -> Tensor:
        return ops.power(self.decay_rate, ops.floor(self.decays(step, total_steps)))


class Exponential(_Decay, name="exponential"):
    """f(s) = decay_rate^(s / decay_steps), the smooth form of `step` (Senior et al., 2013, section 3.2)."""

    def after_warmup(self, step: Tensor, total_steps: int | None) -> Tensor:
        return ops.power(self.decay_rate, self.decays(step, total_steps))


class Cosine(Schedule, name="cosine"):
    """f(s) = e + (1 - e) (1 + cos(pi s / T)) / 2, T all steps and e `final_factor`, without restarts
    (Loshchilov and Hutter, SGDR, 2017, equation 5).
    """

    final_factor: float = Field(default=0.0, ge=0, le=1, description="factor after the last step")

    def after_warmup(self, step: Tensor, total_steps: int | None) -> Tensor:
        return cosine_between(1.0, self.final_factor, progress(step, self.total(total_steps)))


class OneCycle(Schedule, name="one_cycle"):
    """Half a cosine wave up to the full learning rate and another one down (Smith and Topin, 2018).

    With x = s / (T - 1), T all steps: f rises from 1 / div_factor at x = 0 to 1 at x = peak, and falls to
    1 / (div_factor * final_div_factor) at x = 1, the last update. `learning_rate` is the rate at the peak.
    The momentum stays as it is.
    """

    peak: float = Field(default=0.3, gt=0, lt=1, description="share of the steps before the highest rate")
    div_factor: float = Field(default=25.0, ge=1, description="first rate: the highest divided by this")
    final_div_factor: float = Field(default=1e4, ge=1, description="last rate: the first divided by this")

    def after_warmup(self, step: Tensor, total_steps: int | None) -> Tensor:
        x = progress(step, self.total(total_steps) - 1)
        first = 1 / self.div_factor
        up = cosine_between(first, 1.0, x / self.peak)
        down = cosine_between(1.0, first / self.final_div_factor, (x - self.peak) / (1 - self.peak))
        return ops.where(ops.less(x, self.peak), up, down)
