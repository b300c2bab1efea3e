"""What a checkpoint remembers besides the variables, and whether it is of the run in which it lies."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Annotated, Any, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    field_validator,
)

from dltrain.config import parse, parse_document, to_yaml
from dltrain.datasets import Data
from dltrain.errors import ConfigError, RunError
from dltrain.runs.checkpoints import Checkpoint
from dltrain.runs.damage import damaged_checkpoint, described
from dltrain.runs.directory import RunDirectory
from dltrain.task import Target
from dltrain.task.target import read_target
from dltrain.training.run_config import RunConfig
from dltrain.training.state import Count, TrainingState

Size = Annotated[int, Field(ge=1, lt=2**62, strict=True)]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DescribedData(_Plain):
    """What of a data set must stay as it is while a run goes on."""

    input_shape: list[Size]
    target: Annotated[Target, PlainValidator(read_target), PlainSerializer(Target.plain)]
    examples: dict[str, Size]

    @classmethod
    def of(cls, data: Data) -> Self:
        examples = {name: len(split) for name, split in data.splits.items()}
        return cls(input_shape=list(data.input_shape), target=data.target, examples=examples)

    def check_same(self, data: Data) -> None:
        """Raises RunError when a data set is not of the form that the run was trained on."""
        now = DescribedData.of(data)
        for key, was in self:
            if getattr(now, key) != was:
                what = "the data set has changed since the run began"
                fix = "put the original files back, or start a new run"
                why = f"its {key.replace('_', ' ')} was {was}, and is {getattr(now, key)}"
                raise RunError(what, where="dataset", why=why, fix=fix)


class DescribedFailure(_Plain):
    """How a step failed.

    Attributes:
        loss: name of the tensor that is not finite.
        why: what the error said.
    """

    loss: str
    why: str


class SavedState(_Plain):
    """The trainer's part of a checkpoint.

    Attributes:
        run: id of the run that saved it, see `RunDirectory.id`.
        config: of that run, plain data.
        counters: see `TrainingState`.
        files: see `MetricsFiles.position`.
        data: what it was trained on.
        failure: how the next step fails, or the evaluation; None but in what `save_failure` wrote.
    """

    run: str
    config: dict[str, Any]
    counters: TrainingState
    files: dict[Annotated[str, Field(pattern=r"^metrics\.(jsonl|csv)$")], Count] = Field(min_length=2)
    data: DescribedData
    failure: DescribedFailure | None = None

    @field_validator("counters", mode="before")
    @classmethod
    def _check_whole(cls, counters: Any) -> Any:
        if isinstance(counters, dict) and counters.keys() != {each.name for each in fields(TrainingState)}:
            raise ValueError(f"another version of dltrain has other counters than {sorted(counters)}")
        return counters

    @classmethod
    def of(cls, checkpoint: Checkpoint, run: str) -> Self:
        """What a checkpoint of the run with id `run` remembers.

        Raises RunError when it is damaged, or of another run.
        """
        try:
            saved = cls.model_validate(checkpoint.trainer_state)
        except ValidationError as error:
            raise damaged_checkpoint(checkpoint.path, f"of its trainer's state {described(error)}") from None
        if saved.run != run:
            why = f"it was saved by run {saved.run!r}, this one is {run!r}"
            where, fix = str(checkpoint.path), "use a checkpoint of this run"
            raise RunError("checkpoint of another run", where=where, why=why, fix=fix)
        step, counters = checkpoint.step, saved.counters
        if counters.step != step or checkpoint.epoch not in (counters.epoch, counters.last_epoch):
            raise damaged_checkpoint(checkpoint.path, f"its trainer counted {counters.step} steps")
        if not np.array_equal(checkpoint.arrays.get("step", step), step):
            raise damaged_checkpoint(checkpoint.path, f"its variable step is not {step}")
        return saved

    def check_same_config(self, config: RunConfig, directory: RunDirectory) -> RunConfig:
        """The config of the checkpoint. Raises RunError when the run's is another.

        `CHANGEABLE` keys may differ, and where the files of the data set are.
        """
        source = str(directory.checkpoints)
        try:
            before = parse(RunConfig, parse_document(to_yaml(self.config), source))
        except ConfigError as error:
            raise RunError("damaged config in a checkpoint", where=source, why=str(error)) from error
        if type(before.dataset) is type(config.dataset):
            moved = before.dataset.model_copy(update=config.dataset.paths)
            before = before.model_copy(update={"dataset": moved})
        if conflict := before.conflict_with(config):
            key, old, new = conflict
            why = f"it was {json.dumps(old)}, and is {json.dumps(new)}"
            fix = "put the original config.yaml back, or start a new run"
            what = f"{key} has changed since the checkpoint was saved"
            raise RunError(what, where=str(directory.config), why=why, fix=fix)
        return before
