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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from dltrain.errors import RunError
from dltrain.files.append_only import AppendOnlyFile
from dltrain.files.atomic import write_atomically
from dltrain.files.plain import open_plain_file
from dltrain.files.storage_errors import storage_errors
from dltrain.runs.damage import ORIGINAL_BACK, damaged_file, described
from dltrain.training.evaluation import plain_figures
from dltrain.training.records import EpochDone, Finished
from dltrain.training.state import Count

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
        self._files = {name: AppendOnlyFile(folder / name, new=new) for name in (_LINES, _TABLE)}

    @classmethod
    def create(cls, folder: Path, *, train: Iterable[str], validation: Iterable[str]) -> Self:
        """New files in `folder`, for metrics of these names (such as `loss`) on each split."""
        columns = _columns(train, validation)
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
    def open(cls, folder: Path, *, train: Iterable[str], validation: Iterable[str]) -> Self:
        """The files that are in `folder`, to be cut back by `truncate_to` and continued; see `create`.

        Raises RunError when one is missing or has no header, or none with a column for each metric.
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
            raise damaged_file(folder / _TABLE, "its first line is not its header")
        if foreign := set(_columns(train, validation)) - set(header):
            raise RunError(
                "metric without a column",
                where=str(folder / _TABLE),
                why=f"{', '.join(sorted(foreign))} is not in its header",
                fix="an earlier dltrain, named in run.json, may have called it otherwise and can go on; "
                "or start a new run",
            )
        return cls(folder, header, new=False)

    def append(
        self, step: int, epoch: int, split: str, values: Mapping[str, float], sha256: str | None = None
    ) -> None:
        """Adds one line to `metrics.jsonl`; `sha256`: see `hash_state`, left out if None."""
        line: dict[str, Any] = {"step": step, "epoch": epoch, "split": split, "values": plain_figures(values)}
        line |= {"sha256": sha256} if sha256 else {}
        self._files[_LINES].append(json.dumps(line, allow_nan=False).encode() + b"\n")

    def append_epoch(self, record: EpochDone, sha256: str | None = None) -> None:
        """Adds an epoch to both files; `sha256`: see `append`."""
        row: dict[str, float] = {
            "epoch": record.epoch,
            "step": record.step,
            "learning_rate": float(record.learning_rate),
            "seconds": round(record.seconds, 6),
        }
        for split, values in (("train", record.train), ("validation", record.validation)):
            row |= {f"{split}_{name}": float(value) for name, value in values.items()}
        self.append(record.step, record.epoch, "train", record.train, sha256)
        if record.validation:
            self.append(record.step, record.epoch, "validation", record.validation)
        self._append_row([row.get(column, "") for column in self._columns])

    def position(self) -> dict[str, int]:
        """Flushes both files to disk and gives the length of each in bytes, for a checkpoint to remember."""
        for file in self._files.values():
            file.sync()
        return {name: file.size for name, file in self._files.items()}

    def truncate_to(self, position: Mapping[str, int]) -> None:
        """Cuts both files back to a `position`, so that resuming from there writes no row twice.

        Raises RunError when a file is shorter than that, or has no end of line there.
        """
        for name, file in self._files.items():
            size, where = position[name], str(file.path)
            if not 0 <= size <= file.size:
                raise _shorter(file.path, file.size, size)
            if file.byte_before(size) not in (b"", b"\n"):
                what, why = "file was changed after its checkpoint", f"no line ends at byte {size}"
                raise RunError(what, where=where, why=why, fix=ORIGINAL_BACK)
        for name, file in self._files.items():
            file.truncate_to(position[name])

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _append_row(self, cells: Iterable[object]) -> None:
        row = io.StringIO()
        csv.writer(row, lineterminator="\n").writerow(cells)
        self._files[_TABLE].append(row.getvalue().encode())


@dataclass(frozen=True, slots=True)
class Line:
    """A line of `metrics.jsonl`; see `MetricsFiles.append`.

    Attributes:
        split: "train", "validation", or "batch".
        sha256: of all variables after the step; None if it is not told.
    """

    step: Count
    epoch: Count
    split: str
    values: dict[str, float]
    sha256: str | None = None


_LINE = TypeAdapter(Line)


def _columns(train: Iterable[str], validation: Iterable[str]) -> list[str]:
    return [
        *_FIRST_COLUMNS,
        *(f"train_{name}" for name in train),
        *(f"validation_{name}" for name in validation),
    ]


def check_length(folder: Path, position: Mapping[str, int]) -> None:
    """Raises RunError when `metrics.jsonl` is shorter than a checkpoint's `position` says; StorageError."""
    path = folder / _LINES
    with storage_errors(path, "cannot read"):
        size = path.stat().st_size
    if size < position[_LINES]:
        raise _shorter(path, size, position[_LINES])


def _shorter(path: Path, size: int, saved: int) -> RunError:
    why = f"it has {size} bytes, the checkpoint was saved at byte {saved}"
    fix = "put the complete file back, or start a new run"
    return RunError("file is shorter than its checkpoint says", where=str(path), why=why, fix=fix)


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
            try:
                yield _LINE.validate_json(line)
            except ValidationError as error:
                why, fix = f"no line of metrics ({described(error)!r})", "put the original file back"
                raise RunError("damaged file", where=f"{path}:{number}", why=why, fix=fix) from None


def read_columns(folder: Path) -> dict[str, dict[str, NDArray[Any]]]:
    """All of `metrics.jsonl` as arrays; see `Run.metrics`. Raises RunError as `read_lines`."""
    splits: dict[str, dict[str, array[Any]]] = {}
    for line in read_lines(folder):
        columns = splits.setdefault(line.split, {"step": array("q"), "epoch": array("q")})
        cells = {**line.values, "step": line.step, "epoch": line.epoch}
        for name in cells.keys() - columns.keys():
            columns[name] = array("d", [math.nan]) * len(columns["step"])
        for name, column in columns.items():
            column.append(cells.get(name, math.nan))
    return {
        split: {name: np.array(column) for name, column in columns.items()}
        for split, columns in splits.items()
    }


def write_summary(path: Path, finished: Finished) -> None:
    """Writes `summary.json`: how training ended, and the validation figures, best and final."""
    summary = {"reason": finished.reason, **asdict(finished)}
    summary |= {key: plain_figures(summary[key]) for key in ("best", "final")}
    write_atomically(path, json.dumps(summary, indent=1, allow_nan=False).encode() + b"\n")
