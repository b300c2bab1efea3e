"""What the trainer's records tell, as files of the run directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dltrain.datasets import Data
from dltrain.execution import Session
from dltrain.runs.metrics_files import MetricsFiles, write_summary
from dltrain.runs.state_hash import hash_state
from dltrain.summary import Writer
from dltrain.training.network import Network
from dltrain.training.records import EpochDone, Finished, Record, Started, StepDone

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


@dataclass(frozen=True)
class Reporter:
    """Writes `metrics.jsonl`, `metrics.csv`, `summary.json`, and TensorBoard's scalars, graph and pictures.

    Arguments:
        summary: path of `summary.json`.
        session: holds the variables, whose hash is written at the end of each epoch. Lines between have none,
            which would cost more than a step; but a batch's loss tells of all parameters too.
    """

    metrics: MetricsFiles
    events: EventFiles
    summary: Path
    network: Network
    session: Session
    data: Data

    def report(self, record: Record) -> None:
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
                write_summary(self.summary, record)

    def _pictures(self) -> np.ndarray:
        """Some examples of the validation split (else of the training split), above what becomes of them:
        [2 * height, PICTURES * width] or [..., 3].
        """
        split = self.data.splits.get("validation", self.data.splits["train"])
        inputs, _ = split.take(np.arange(min(PICTURES, len(split))))
        outputs = self.session.run(self.network.prediction.value, {self.network.inputs: inputs})
        return np.concatenate([np.concatenate(list(images), axis=1) for images in (inputs, outputs)])
