"""What the trainer tells: it yields these records, and reporters consume them.

Steps count the updates made since the first run (1 after the first update); epochs count from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Started:
    """Training begins: totals for a progress bar, and where it resumes."""

    parameters: int  # trainable numbers in the model
    total_steps: int
    total_epochs: int
    steps_per_epoch: int
    start_step: int  # 0, or the resumed checkpoint's step
    units: Mapping[str, str] = field(default_factory=dict)  # of the figures, see `Metric`


@dataclass(frozen=True, slots=True)
class StepDone:
    """One update was made; given every step."""

    step: int
    epoch: int
    loss: float  # of this step's batch, before the update
    learning_rate: float


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch (or the last part of one) ended and the validation split was evaluated."""

    step: int
    epoch: int
    train: Mapping[str, float]  # loss, mean over the epoch's batches; metrics after it, if asked for
    validation: Mapping[str, float]  # empty when there is no validation split
    learning_rate: float
    seconds: float  # wall time of the epoch, evaluation included
    examples_per_second: float  # training only


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint was written whole."""

    step: int
    epoch: int
    path: Path
    best: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """Training ended by itself: the last record."""

    step: int
    epoch: int
    reason: str  # "completed" or "early stopping: ..."
    best_step: int
    best: Mapping[str, float]  # validation figures of the best checkpoint
    final: Mapping[str, float]  # validation figures of the last one


Record = Started | StepDone | EpochDone | CheckpointSaved | Finished
