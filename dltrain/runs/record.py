"""`run.json`: read with suspicion, and written within bounds however often the run is resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dltrain.errors import RunError
from dltrain.files.atomic import write_atomically
from dltrain.files.plain import read_plain_file
from dltrain.files.storage_errors import storage_errors
from dltrain.runs.damage import damaged_file

LARGEST_RECORD = 2**20  # bytes of run.json as it is written
_LARGEST_READ = 4 * LARGEST_RECORD  # earlier versions wrote more
_COUNTED = {"at", "step", "times", "last_at", "last_step"}
_PARTS_OWN = {*_COUNTED, "command", "train"}  # what each entry of `resumed` has
_MOST_WORDS, _LONGEST_WORD = 50, 1000  # of a command line that is kept


def read_record(path: Path) -> dict[str, Any]:
    """The content of the `run.json` at `path`. Raises RunError when it is missing or damaged."""
    with storage_errors(path, "cannot read"):
        try:
            record = json.loads(read_plain_file(path, at_most=_LARGEST_READ, error=RunError))
        except FileNotFoundError:
            raise not_a_run(path.parent) from None
        except (ValueError, RecursionError) as error:
            raise damaged_file(path, str(error)) from error
    if not (isinstance(record, dict) and isinstance(record.get("resumed"), list)):
        raise damaged_file(path, "it is no record of a run")
    if not all(isinstance(again, dict) and _is_count(again.get("step")) for again in record["resumed"]):
        raise damaged_file(path, "it does not tell how the run was trained")
    return record


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Makes it the content of `path`, less the older entries of `resumed` where it would be too large."""
    while len(content := json.dumps(record, indent=1, allow_nan=False).encode()) >= LARGEST_RECORD:
        resumed = record["resumed"]
        record = {**record, "resumed": resumed[len(resumed) // 2 + 1 :], "forgotten": True}
    write_atomically(path, content + b"\n")


def not_a_run(path: Path) -> RunError:
    """The error for a directory in which no run began."""
    fix = "give the directory of one run"
    return RunError("not a run directory", where=str(path), why="it holds no run.json", fix=fix)


def bounded(resumed: Sequence[Mapping[str, Any]], first: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of `resumed` as far as they tell how the run came to be what it is, and each thing once.

    Of a part, nothing is left once the run went on from its first step or before. One that goes on as the
    part before it counts there, so that a run can be resumed without end. An environment that is that of
    `first`, when the run began, is left out.
    """
    kept: list[dict[str, Any]] = []
    for entry in resumed:
        own = {key: value for key, value in entry.items() if key in _PARTS_OWN or first.get(key) != value}
        while kept and kept[-1]["step"] >= own["step"]:
            kept.pop()
        if kept and _settings(kept[-1]) == _settings(own):
            times = kept[-1].get("times", 1) + own.get("times", 1)
            kept[-1] |= {"times": times, "last_at": own.get("at"), "last_step": own["step"]}
        else:
            kept.append(own)
    return kept


def kept_words(command: Sequence[str]) -> list[str]:
    """A command line as far as it is kept."""
    return [word[:_LONGEST_WORD] for word in command[:_MOST_WORDS]]


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in _COUNTED}


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**62
