"""The config of a run: what a YAML file given to `dltrain fit` may say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isnan
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from dltrain.config import Section, dump
from dltrain.config.text import quoted

# The packages, not the modules: importing them registers every component that a config can name.
from dltrain.costs import Cost
from dltrain.datasets import Dataset
from dltrain.errors import ConfigError
from dltrain.metrics import Metric
from dltrain.models import Model
from dltrain.optimizers import Optimizer
from dltrain.places import Key

CHANGEABLE = (
    "train.epochs",
    "train.steps",
    "train.early_stopping",
    "train.checkpoint_every",
    "train.log_every",
)
"""Keys that may change when a run is resumed: how long to train and what to note, not what is trained."""


class Watched(Section):
    """A validation figure, and which way it gets better."""

    metric: str = Field(default="loss", description="'loss', or a metric of the list 'metrics'")
    mode: Literal["min", "max"] | None = Field(
        default=None,
        description="whether less or more is better; null: as the metric says, less for the loss",
    )

    def is_better(self, value: float, than: float | None, *, higher_is_better: bool, by: float = 0.0) -> bool:
        """Whether `value` beats `than` by more than `by`; anything beats None and nan.

        Arguments:
            higher_is_better: what the metric says of itself.
        """
        if than is None or isnan(than):
            return True
        more = higher_is_better if self.mode is None else self.mode == "max"
        return value > than + by if more else value < than - by


class EarlyStopping(Watched):
    """When to end training because it no longer helps."""

    patience: int = Field(gt=0, description="epochs without improvement after which training ends")
    min_delta: float = Field(default=0.0, ge=0, description="improvements that are not larger do not count")


class Train(Section):
    """The iteration loop."""

    epochs: int | None = Field(
        default=None, gt=0, le=10**9, description="how often to go over the training split"
    )
    steps: int | None = Field(
        default=None, gt=0, le=10**12, description="how many updates to make, in place of 'epochs'"
    )
    batch_size: int = Field(gt=0, description="examples a step; the last batch of an epoch may be smaller")
    evaluation_batch_size: int = Field(
        default=1000, gt=0, description="examples at a time in evaluation; makes no difference to its figures"
    )
    keep_best: Watched = Field(
        default=Watched(), description="which validation figure makes a checkpoint the best"
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="when to end early; null for never"
    )
    checkpoint_every: str = Field(
        default="1 epoch", description="'N steps' or 'N epochs'; the best and the last one are saved besides"
    )
    metrics: bool = Field(
        default=False,
        description="whether the metrics are evaluated on the training split, too, after each epoch",
    )
    log_every: int | None = Field(
        default=100, gt=0, description="steps between lines of a batch's loss in metrics.jsonl; null for none"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            given = "neither is given" if self.epochs is None else "both are given"
            raise ConfigError(
                "train takes either epochs or steps", why=given, fix="give one, and null for the other"
            )
        if not re.fullmatch(r"[1-9][0-9]{0,9} (steps?|epochs?)", self.checkpoint_every):
            raise ConfigError(
                "checkpoint_every must be 'N steps' or 'N epochs'",
                where=Key("checkpoint_every"),
                why=f"it is {quoted(self.checkpoint_every)}",
                fix="write '500 steps', say",
            )
        return self

    def is_checkpoint_due(self, *, step: int, epoch: int, ends_epoch: bool) -> bool:
        """Whether `checkpoint_every` asks for a checkpoint after this step."""
        number, unit = self.checkpoint_every.split()
        if unit.startswith("step"):
            return step % int(number) == 0
        return ends_epoch and epoch % int(number) == 0


class RunConfig(Section):
    """What to train on what, and how."""

    name: str | None = Field(
        default=None, description="first part of the run directory's name; null for the model's name"
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="of initial values, order of examples and dropout"
    )
    dataset: Dataset = Field(description="what to learn from")
    model: Model = Field(description="what is trained")
    cost: Cost = Field(description="what training makes small")
    optimizer: Optimizer = Field(description="how each step changes the model")
    metrics: tuple[Metric, ...] | None = Field(
        default=None,
        description="figures besides the loss; null for accuracy, or mse where there are no classes",
    )
    train: Train = Field(description="the iteration loop")

    @field_validator("name")
    @classmethod
    def check_name(cls, name: str | None) -> str | None:
        """Raises ConfigError for what no name of a folder should begin with."""
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            fix = "use 1 to 100 letters, digits, '.', '_' and '-', a letter or digit first"
            raise ConfigError("bad name for a run", why=f"it is {quoted(name)}", fix=fix)
        return name

    def steps_per_epoch(self, examples: int) -> int:
        """How many batches `examples` make, the last one perhaps smaller."""
        return -(-examples // self.train.batch_size)

    def total_steps(self, examples: int) -> int:
        """How many updates training on `examples` makes."""
        return self.train.steps or (self.train.epochs or 0) * self.steps_per_epoch(examples)

    def with_absolute_paths(self) -> Self:
        """The same config, whose data set is found from any folder; see `Dataset.with_absolute_paths`."""
        return self.model_copy(update={"dataset": self.dataset.with_absolute_paths()})

    def conflict_with(self, new: RunConfig) -> tuple[Key, Any, Any] | None:
        """The first key, with its value here and in `new`, that may not change when a run is resumed."""
        ours, theirs = dict(_flat(dump(self))), dict(_flat(dump(new)))
        for key in dict.fromkeys([*ours, *theirs]):
            if not str(key).startswith(CHANGEABLE) and ours.get(key) != theirs.get(key):
                return key, ours.get(key), theirs.get(key)
        return None


def _flat(data: Any, *path: str) -> Iterator[tuple[Key, Any]]:
    """The values below nested mappings, with their keys."""
    if not isinstance(data, dict) or not data:
        yield Key(*path), data
        return
    for name, item in data.items():
        yield from _flat(item, *path, name)
