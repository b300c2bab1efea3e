"""The TensorBoard event files of a run."""

from __future__ import annotations

from pathlib import Path

from dltrain.summary import Writer
from dltrain.training.records import EpochDone


class EventFiles:
    """The event files of a run: `train` and `validation` below one folder, with equal tags that overlay.

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
