"""A run's event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from dltrain.runs.reporter import EventFiles
from dltrain.training.records import EpochDone


def read(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
        return accumulator.Reload()


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(folder).Scalars(tag)]


def epoch(number: int, loss: float) -> EpochDone:
    return EpochDone(
        step=number * 10,
        epoch=number,
        train={"loss": loss, "accuracy": 0.5},
        validation={"loss": loss / 2, "accuracy": 0.25},
        learning_rate=0.125,
        seconds=1.0,
        examples_per_second=1.0,
    )


def test_train_and_validation_overlay(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    files.write_epoch(epoch(1, 2.0))
    files.write_epoch(epoch(2, 1.0))
    # Before close: a viewer sees each epoch when it ends.
    assert scalars(tmp_path / "train", "loss") == [(10, 2.0), (20, 1.0)]
    assert scalars(tmp_path / "validation", "loss") == [(10, 1.0), (20, 0.5)]
    assert scalars(tmp_path / "train", "learning_rate") == [(10, 0.125), (20, 0.125)]
    assert sorted(read(tmp_path / "train").Tags()["scalars"]) == ["accuracy", "learning_rate", "loss"]
    assert sorted(read(tmp_path / "validation").Tags()["scalars"]) == ["accuracy", "loss"]
    files.close()


def test_what_came_after_the_resumed_checkpoint_is_forgotten(tmp_path: Path) -> None:
    first = EventFiles(tmp_path)
    for number in (1, 2, 3, 4):
        first.write_epoch(epoch(number, 2.0))
    first.close()
    with next((tmp_path / "train").iterdir()).open("ab") as file:
        file.write(b"\x10\0\0\0")  # killed in the midst of a record
    second = EventFiles(tmp_path, start_step=20)
    second.write_epoch(epoch(3, 1.0))
    second.close()
    assert scalars(tmp_path / "train", "loss") == [(10, 2.0), (20, 2.0), (30, 1.0)]
    assert scalars(tmp_path / "validation", "loss") == [(10, 1.0), (20, 1.0), (30, 0.5)]
    third = EventFiles(tmp_path, start_step=30)
    third.close()
    assert scalars(tmp_path / "train", "loss") == [(10, 2.0), (20, 2.0), (30, 1.0)]
