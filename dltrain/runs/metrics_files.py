"""The figures of a run as files: `metrics.jsonl` and `metrics.csv`, which only grow, and `summary.json`.

`metrics.jsonl` is the truth, one object a line: `{"step": 469, "epoch": 1, "split": "train", "values":
{"loss": 0.31}, "sha256": "3f..."}`; the hash is of all variables, at the end of an epoch. `metrics.csv` has
one row an epoch under a header that never changes. Numbers are written so that they are read back exactly;
those that are not finite, which JSON lacks, are the strings "nan", "inf" and "-inf" in both JSON files.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dltrain.errors import RunError
from dltrain.files.append_only import AppendOnlyFile
from dltrain.files.atomic import write_atomically
from dltrain.files.plain import open_plain_file
from dltrain.files.storage_errors import storage_errors
from dltrain.training.records import EpochDone, Finished

_LINES = "metrics.jsonl"
_TABLE = "metrics.csv"
_FIRST_COLUMNS = ("epoch", "step", "learning_rate", "seconds")
_LONGEST_HEADER = _LONGEST_LINE = 2**16  # bytes


class MetricsFiles:
    """The open metrics files of a run; made by `create` (for a new run) or `open` (to resume one).

    Every method raises StorageError when a file cannot be written.
    """

    def __init__(self, folder: Path, columns: list[str], *, new: bool) -> None:
        self._columns = columns
        self._lines = AppendOnlyFile(folder / _LINES, new=new)
        self._table = AppendOnlyFile(folder / _TABLE, new=new)

    @classmethod
    def create(cls, folder: Path, *, train: Iterable[str], validation: Iterable[str]) -> Self:
        """New files in `folder`, for metrics of these names (such as `loss`) on each split."""
        columns = [*_FIRST_COLUMNS, *(f"train_{name}" for name in train)]
        columns += [f"validation_{name}" for name in validation]
        files = cls(folder, columns, new=True)
        files._append_row(columns)
        return files

    @staticmethod
    def remove(folder: Path) -> None:
        """Removes the files from `folder`, if they are there."""
        for name in (_LINES, _TABLE):
            with storage_errors(folder / name, "cannot remove"):
                (folder / name).unlink(missing_ok=True)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The files that are in `folder`, to be cut back by `truncate_to` and continued.

        Raises RunError when one is missing or has no header.
        """
        with storage_errors(folder, "cannot read"):
            for name in (_LINES, _TABLE):
                try:
                    descriptor = open_plain_file(folder / name, error=RunError)
                except FileNotFoundError:
                    fix = "put it back, or start a new run"
                    raise RunError("file is missing", where=str(folder / name), fix=fix) from None
                with os.fdopen(descriptor, "rb") as file:
                    first_line = file.readline(_LONGEST_HEADER)  # the table's is the one that counts
        header = first_line.decode(errors="replace").rstrip("\n").split(",")
        if tuple(header[: len(_FIRST_COLUMNS)]) != _FIRST_COLUMNS:
            why, fix = "its first line is not its header", "put the original file back, or start a new run"
            raise RunError("damaged file", where=str(folder / _TABLE), why=why, fix=fix)
        return cls(folder, header, new=False)

    def append(
        self, step: int, epoch: int, split: str, values: Mapping[str, float], sha256: str | None = None
    ) -> None:
        """Adds one line to `metrics.jsonl`; `sha256`: see `hash_state`, left out if None."""
        line: dict[str, Any] = {"step": step, "epoch": epoch, "split": split, "values": _to_json(values)}
        line |= {"sha256": sha256} if sha256 else {}
        self._lines.append(json.dumps(line, allow_nan=False).encode() + b"\n")

    def append_epoch(self, record: EpochDone, sha256: str | None = None) -> None:
        """Adds an epoch to both files; `sha256`: see `append`.

        Raises RunError for a metric without a column in `metrics.csv`.
        """
        row: dict[str, float] = {
            "epoch": record.epoch,
            "step": record.step,
            "learning_rate": float(record.learning_rate),
            "seconds": round(record.seconds, 6),
        }
        row |= {f"train_{name}": float(value) for name, value in record.train.items()}
        row |= {f"validation_{name}": float(value) for name, value in record.validation.items()}
        foreign = row.keys() - set(self._columns)
        if foreign:
            raise RunError(
                "metric without a column",
                where=str(self._table.path),
                why=f"{', '.join(sorted(foreign))} is not in its header",
                fix="keep the metrics of the run, or start a new one",
            )
        self.append(record.step, record.epoch, "train", record.train, sha256)
        if record.validation:
            self.append(record.step, record.epoch, "validation", record.validation)
        self._append_row([row.get(column, "") for column in self._columns])

    def position(self) -> dict[str, int]:
        """Flushes both files to disk and gives the length of each in bytes, for a checkpoint to remember."""
        for file in (self._lines, self._table):
            file.sync()
        return {_LINES: self._lines.size, _TABLE: self._table.size}

    def truncate_to(self, position: Mapping[str, int]) -> None:
        """Cuts both files back to a `position`, so that resuming from there writes no row twice.

        Raises RunError when a file is shorter than that, or has no end of line there.
        """
        for file, size in ((self._lines, position[_LINES]), (self._table, position[_TABLE])):
            if not 0 <= size <= file.size:
                raise RunError(
                    "file is shorter than its checkpoint says",
                    where=str(file.path),
                    why=f"it has {file.size} bytes, the checkpoint was saved at byte {size}",
                    fix="put the complete file back, or start a new run",
                )
            if file.byte_before(size) not in (b"", b"\n"):
                raise RunError(
                    "file was changed after its checkpoint",
                    where=str(file.path),
                    why=f"no line ends at byte {size}",
                    fix="put the original file back, or start a new run",
                )
        self._lines.truncate_to(position[_LINES])
        self._table.truncate_to(position[_TABLE])

    def close(self) -> None:
        self._lines.close()
        self._table.close()

    def _append_row(self, cells: Iterable[object]) -> None:
        row = io.StringIO()
        csv.writer(row, lineterminator="\n").writerow(cells)
        self._table.append(row.getvalue().encode())


@dataclass(frozen=True, slots=True)
class Line:
    """A line of `metrics.jsonl`; see `MetricsFiles.append`.

    Attributes:
        split: "train", "validation", or "batch".
        sha256: of all variables after the step; None if it is not told.
    """

    step: int
    epoch: int
    split: str
    values: Mapping[str, float]
    sha256: str | None


def read_lines(folder: Path) -> Iterator[Line]:
    """The lines of the `metrics.jsonl` in `folder`, one at a time, but for a last one that was cut off.

    Raises RunError when it is missing or damaged, StorageError.
    """
    path = folder / _LINES
    with storage_errors(path, "cannot read"), open(open_plain_file(path, error=RunError), "rb") as file:
        for number in itertools.count(1):
            line = file.readline(_LONGEST_LINE)
            if len(line) < _LONGEST_LINE and not line.endswith(b"\n"):
                return
            yield _parsed(line, f"{path}:{number}")


def _parsed(text: bytes, where: str) -> Line:
    try:
        entry = json.loads(text)
        step, epoch, split, sha256 = entry["step"], entry["epoch"], entry["split"], entry.get("sha256")
        values = {str(name): float(value) for name, value in entry["values"].items()}
        counted = all(type(count) is int and 0 <= count < 2**62 for count in (step, epoch))
        if not (counted and type(split) is str and type(sha256) in (str, NoneType)):
            raise ValueError("step, epoch, split or sha256 is none")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        why, fix = f"no line of metrics ({str(error)!r})", "put the original file back"
        raise RunError("damaged file", where=where, why=why, fix=fix) from error
    return Line(step, epoch, split, values, sha256)


def read_columns(folder: Path) -> dict[str, dict[str, NDArray[Any]]]:
    """All of `metrics.jsonl` as arrays; see `Run.metrics`. Raises RunError as `read_lines`."""
    steps: dict[str, array[int]] = {}
    epochs: dict[str, array[int]] = {}
    figures: dict[str, dict[str, array[float]]] = {}
    for line in read_lines(folder):
        known = figures.setdefault(line.split, {})
        read = steps.setdefault(line.split, array("q"))
        for name in line.values.keys() - known.keys():
            known[name] = array("d", [math.nan]) * len(read)
        for name, column in known.items():
            column.append(line.values.get(name, math.nan))
        read.append(line.step)
        epochs.setdefault(line.split, array("q")).append(line.epoch)
    return {
        split: {
            "step": np.array(steps[split]),
            "epoch": np.array(epochs[split]),
            **{name: np.array(column) for name, column in known.items()},
        }
        for split, known in figures.items()
    }


def write_summary(path: Path, finished: Finished) -> None:
    """Writes `summary.json`: how training ended, and the validation figures, best and final."""
    summary = {
        "reason": finished.reason,
        "step": finished.step,
        "epoch": finished.epoch,
        "best_step": finished.best_step,
        "best": _to_json(finished.best),
        "final": _to_json(finished.final),
    }
    write_atomically(path, json.dumps(summary, indent=1, allow_nan=False).encode() + b"\n")


def _to_json(values: Mapping[str, float]) -> dict[str, Any]:
    """The values as Python floats, or as strings where JSON has no number for them."""
    numbers = {name: float(value) for name, value in values.items()}
    return {name: value if math.isfinite(value) else repr(value) for name, value in numbers.items()}
