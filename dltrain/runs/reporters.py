"""Consumers of the trainer's records that write files of the run directory."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from dltrain.datasets import Data
from dltrain.execution import Session
from dltrain.runs.event_files import EventFiles
from dltrain.runs.metrics_files import MetricsFiles
from dltrain.runs.state_hash import hash_state
from dltrain.training.network import Network
from dltrain.training.records import EpochDone, Record, Started, StepDone

PICTURES = 10


class Reporter(Protocol):
    """A consumer of records."""

    def report(self, record: Record) -> None: ...


class MetricsReporter:
    """Writes `metrics.jsonl` and `metrics.csv`.

    Arguments:
        session: holds the variables, whose hash is written at the end of each epoch. Lines between have none,
            which would cost more than a step; but a batch's loss tells of all parameters too.
        log_every: steps between lines of a batch's figures (split "batch"); None for none.
    """

    def __init__(self, files: MetricsFiles, session: Session, log_every: int | None) -> None:
        self._files, self._session, self._log_every = files, session, log_every

    def report(self, record: Record) -> None:
        match record:
            case StepDone(step, epoch, loss, learning_rate):
                if self._log_every and step % self._log_every == 0:
                    self._files.append(step, epoch, "batch", {"loss": loss, "learning_rate": learning_rate})
            case EpochDone():
                self._files.append_epoch(record, hash_state(self._session.state()))


class EventReporter:
    """Writes TensorBoard event files: scalars, the graph, and an autoencoder's pictures.

    Arguments:
        log_every: steps between the points of `batch_loss`; None for none.
    """

    def __init__(
        self, files: EventFiles, network: Network, session: Session, data: Data, log_every: int | None
    ) -> None:
        self._files, self._network, self._session, self._data = files, network, session, data
        self._log_every = log_every

    def report(self, record: Record) -> None:
        match record:
            case Started():
                self._files.train.graph(self._network.graph)
            case StepDone(step, _, loss, _):
                if self._log_every and step % self._log_every == 0:
                    self._files.train.scalar("batch_loss", loss, step)
            case EpochDone():
                if self._has_pictures():
                    self._files.validation.image("reconstruction", self._pictures(), record.step)
                self._files.write_epoch(record)

    def _has_pictures(self) -> bool:
        """Whether the model gives pictures: grey, or red, green and blue."""
        shape = self._data.input_shape
        return self._data.target == "input" and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))

    def _pictures(self) -> np.ndarray:
        """Some examples of the validation split (else of the training split), above what becomes of them:
        [2 * height, PICTURES * width] or [..., 3].
        """
        split = self._data.splits.get("validation", self._data.splits["train"])
        inputs = np.empty((min(PICTURES, len(split)), *self._data.input_shape), np.float32)
        split.gather(np.arange(len(inputs)), inputs=inputs)
        outputs = self._session.run(self._network.output, {self._network.inputs: inputs})
        return np.concatenate([np.concatenate(list(images), axis=1) for images in (inputs, outputs)])
