"""What training leaves in the run directory: what its records tell, checkpoints, and a step that diverges."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dltrain.config import dump
from dltrain.datasets import Data
from dltrain.errors import StorageError
from dltrain.execution import Session
from dltrain.runs.checkpoints import CheckpointStore
from dltrain.runs.directory import RunDirectory
from dltrain.runs.failures import save_failure
from dltrain.runs.metrics_files import MetricsFiles, write_summary
from dltrain.runs.saved_state import DescribedData, SavedState
from dltrain.runs.state_hash import hash_state
from dltrain.summary import Writer
from dltrain.training.divergence import DivergedBatch, check_finite
from dltrain.training.network import Network
from dltrain.training.records import EpochDone, Finished, Record, Started, StepDone
from dltrain.training.state import TrainingState

PICTURES = 10


class EventFiles:
    """The TensorBoard files of a run: `train` and `validation` in one folder, with equal tags that overlay.

    Arguments:
        folder: the run's `tensorboard/`.
        start_step: the step of the checkpoint that is resumed, whose later events no longer count; 0 if none.

    Raises StorageError when a file cannot be written.
    """

    def __init__(self, folder: Path, start_step: int = 0) -> None:
        self.train = Writer(folder / "train", start_step)
        self.validation = Writer(folder / "validation", start_step)

    def write_epoch(self, record: EpochDone) -> None:
        """Adds an epoch's figures."""
        for tag, value in {**record.train, "learning_rate": record.learning_rate}.items():
            self.train.scalar(tag, value, record.step)
        for tag, value in record.validation.items():
            self.validation.scalar(tag, value, record.step)

    def close(self) -> None:
        self.train.close()
        self.validation.close()


def figures_told(network: Network, data: Data) -> dict[str, Sequence[str]]:
    """The names of the figures that training tells of, by split: the columns of the metrics files."""
    train = network.scalars if network.config.train.metrics else ["loss"]
    return {"train": train, "validation": network.scalars if "validation" in data.splits else ()}


@dataclass
class Reporter:
    """Writes the run's files, from the step of `state` on.

    Arguments:
        metrics: the open metrics files, as they were at that step.
        session: holds the variables, whose hash is written at the end of each epoch. Lines between have none,
            which would cost more than a step; but a batch's loss tells of all parameters too.
        state: the trainer's own counters, as it changes them.

    Attributes:
        events: the open event files.
    """

    directory: RunDirectory
    metrics: MetricsFiles
    network: Network
    session: Session
    data: Data
    state: TrainingState

    def __post_init__(self) -> None:
        self.events = EventFiles(self.directory.tensorboard, self.state.step)

    def report(self, record: Record) -> None:
        """Writes what a record tells."""
        log_every = self.network.config.train.log_every
        match record:
            case Started():
                self.events.train.graph(self.network.graph)
            case StepDone(step, epoch, loss, learning_rate) if log_every and step % log_every == 0:
                self.metrics.append(step, epoch, "batch", {"loss": loss, "learning_rate": learning_rate})
                self.events.train.scalar("batch_loss", loss, step)
            case EpochDone():
                self.metrics.append_epoch(record, hash_state(self.session.state()))
                shape = self.data.input_shape  # of grey pictures, or of red, green and blue
                if self.data.target.is_input and (len(shape) == 2 or shape[2:] == (3,)):
                    self.events.validation.image("reconstruction", self._pictures(), record.step)
                self.events.write_epoch(record)
            case Finished():
                write_summary(self.directory.summary, record)

    def save(self, state: TrainingState, best: bool) -> Path:
        """Saves a checkpoint; see `Save`. Raises DivergedError when a variable is not finite."""
        arrays = self.session.state()
        check_finite(arrays, state.step)
        store = CheckpointStore(self.directory.checkpoints)
        return store.save(state.step, state.last_epoch, arrays, self._saved_state().model_dump(), best)

    def keep(self, error: DivergedBatch) -> None:
        """Saves variables and batch, and adds to the error how to see it again."""
        try:
            save_failure(self.directory.failure, error, self.session.state(), self._saved_state())
        except StorageError as trouble:
            error.fix += f"; the step was not saved: {trouble}"
            return
        path = shlex.quote(str(self.directory.path))
        error.fix += f"; to see the step op by op: dltrain replay {path}"

    def _saved_state(self) -> SavedState:
        return SavedState(
            run=self.directory.id,
            config=dump(self.network.config),
            counters=self.state,
            files=self.metrics.position(),
            data=DescribedData.of(self.data),
        )

    def _pictures(self) -> np.ndarray:
        """Some examples of the validation split (else of the training split), above what becomes of them:
        [2 * height, PICTURES * width] or [..., 3].
        """
        split = self.data.splits.get("validation", self.data.splits["train"])
        inputs, _ = split.take(np.arange(min(PICTURES, len(split))))
        outputs = self.session.run(self.network.prediction.value, {self.network.inputs: inputs})
        return np.concatenate([np.concatenate(list(images), axis=1) for images in (inputs, outputs)])
