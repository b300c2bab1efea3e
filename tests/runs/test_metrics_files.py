"""Metrics files: exact, valid, and continued on resume without a row twice."""

from __future__ import annotations

import csv
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dltrain.errors import RunError, StorageError
from dltrain.runs.metrics_files import MetricsFiles, write_summary
from dltrain.training.records import EpochDone, Finished


def epoch(number: int, **changes: Any) -> EpochDone:
    fields: dict[str, Any] = {
        "step": number * 10,
        "epoch": number,
        "train": {"loss": 1 / number, "accuracy": 0.5},
        "validation": {"loss": 0.1 + 0.2, "accuracy": 0.25},
        "learning_rate": 1e-3,
        "seconds": 1.25,
        "examples_per_second": 100.0,
    }
    return EpochDone(**fields | changes)


COLUMNS = {"train": ["loss", "accuracy"], "validation": ["loss", "accuracy"]}


def created(folder: Path) -> MetricsFiles:
    return MetricsFiles.create(folder, **COLUMNS)


def lines(folder: Path) -> list[Any]:
    def refuse(text: str) -> None:
        raise ValueError(f"{text} is not JSON")

    text = (folder / "metrics.jsonl").read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_epoch_is_two_lines_and_a_row(tmp_path: Path) -> None:
    files = created(tmp_path)
    files.append_epoch(epoch(3))
    assert lines(tmp_path) == [  # before close: each record is flushed
        {"step": 30, "epoch": 3, "split": "train", "values": {"loss": 1 / 3, "accuracy": 0.5}},
        {"step": 30, "epoch": 3, "split": "validation", "values": {"loss": 0.1 + 0.2, "accuracy": 0.25}},
    ]
    assert (tmp_path / "metrics.csv").read_text().splitlines()[0] == (
        "epoch,step,learning_rate,seconds,train_loss,train_accuracy,validation_loss,validation_accuracy"
    )
    (row,) = rows(tmp_path)
    assert (row["epoch"], row["step"], row["seconds"]) == ("3", "30", "1.25")
    assert [float(row[key]) for key in ("train_loss", "validation_loss", "learning_rate")] == [
        1 / 3,
        0.1 + 0.2,
        1e-3,
    ]
    files.close()


def test_numpy_numbers_are_written_as_numbers(tmp_path: Path) -> None:
    files = created(tmp_path)
    value = np.float32(0.1)
    files.append_epoch(epoch(1, train={"loss": value, "accuracy": np.float64(1)}, learning_rate=value))
    files.close()
    assert lines(tmp_path)[0]["values"] == {"loss": float(value), "accuracy": 1.0}
    assert struct.pack("f", float(rows(tmp_path)[0]["train_loss"])) == value.tobytes()
    assert rows(tmp_path)[0]["train_accuracy"] == "1.0"


def test_what_is_not_finite_stays_readable(tmp_path: Path) -> None:
    files = created(tmp_path)
    files.append_epoch(
        epoch(1, train={"loss": math.nan, "accuracy": math.inf}, validation={"loss": -math.inf})
    )
    files.close()
    assert [line["values"] for line in lines(tmp_path)] == [
        {"loss": "nan", "accuracy": "inf"},
        {"loss": "-inf"},
    ]
    (row,) = rows(tmp_path)
    assert [row[key] for key in ("train_loss", "train_accuracy", "validation_loss")] == ["nan", "inf", "-inf"]
    assert row["validation_accuracy"] == ""


def test_without_validation(tmp_path: Path) -> None:
    files = MetricsFiles.create(tmp_path, train=["loss"], validation=[])
    files.append_epoch(epoch(1, train={"loss": 1.0}, validation={}))
    files.close()
    assert [line["split"] for line in lines(tmp_path)] == ["train"]
    assert list(rows(tmp_path)[0]) == ["epoch", "step", "learning_rate", "seconds", "train_loss"]


def test_a_metric_without_a_column_is_refused_before_a_run_goes_on(tmp_path: Path) -> None:
    created(tmp_path).close()
    with pytest.raises(RunError, match=r"train_top_5 is not in its header; an earlier dltrain, .* may have"):
        MetricsFiles.open(tmp_path, train=["loss", "top_5"], validation=["loss"])
    assert lines(tmp_path) == rows(tmp_path) == []


def test_resuming_cuts_back_and_gives_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = created(tmp_path / "whole")
    for number in range(1, 6):
        whole.append_epoch(epoch(number))
    whole.close()

    files = created(tmp_path)
    files.append_epoch(epoch(1))
    files.append_epoch(epoch(2))
    position = files.position()
    files.append_epoch(epoch(3, seconds=9.0))
    files.append(35, 4, "train", {"loss": 1.0})  # and then the process was killed, in the midst of a line
    files.close()
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("4,4")
    resumed = MetricsFiles.open(tmp_path, **COLUMNS)
    resumed.truncate_to(json.loads(json.dumps(position)))
    for number in range(3, 6):
        resumed.append_epoch(epoch(number))
    resumed.close()
    for name in ("metrics.jsonl", "metrics.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_new_run_does_not_overwrite(tmp_path: Path) -> None:
    created(tmp_path).close()
    with pytest.raises(StorageError, match=r"cannot create: .*metrics.jsonl: File exists"):
        created(tmp_path)


def test_files_that_do_not_fit_their_checkpoint(tmp_path: Path) -> None:
    files = created(tmp_path)
    files.append_epoch(epoch(1))
    position = files.position()
    files.append_epoch(epoch(2))
    with pytest.raises(RunError, match=r"metrics.csv: no line ends at byte"):
        files.truncate_to(position | {"metrics.csv": position["metrics.csv"] + 1})
    files.truncate_to(position)
    with pytest.raises(RunError, match=r"file is shorter than its checkpoint says: .*metrics.jsonl"):
        files.truncate_to(position | {"metrics.jsonl": position["metrics.jsonl"] + 100})
    files.close()
    assert len(lines(tmp_path)) == 2

    (tmp_path / "metrics.csv").write_text("something else\n")
    with pytest.raises(RunError, match="first line is not its header"):
        MetricsFiles.open(tmp_path, **COLUMNS)
    (tmp_path / "metrics.csv").unlink()
    with pytest.raises(RunError, match=r"file is missing: .*metrics.csv"):
        MetricsFiles.open(tmp_path, **COLUMNS)


def test_summary(tmp_path: Path) -> None:
    finished = Finished(
        step=50, epoch=5, reason="completed", best_step=30, best={"loss": 0.5}, final={"loss": math.nan}
    )
    write_summary(tmp_path / "summary.json", finished)
    assert json.loads((tmp_path / "summary.json").read_text()) == {
        "reason": "completed",
        "step": 50,
        "epoch": 5,
        "best_step": 30,
        "best": {"loss": 0.5},
        "final": {"loss": "nan"},
    }
