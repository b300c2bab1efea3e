"""The directory of one run: how it is named, found, locked, and what `run.json` tells about it.

runs/mlp-20261123-141502-k3f9/
  config.yaml          resolved: `dltrain fit` accepts it and repeats the run
  config.source.yaml   as the user wrote it
  run.json             status, command, overrides, seed, versions, BLAS, threads, kernels, times, exit code
  metrics.jsonl, metrics.csv, summary.json, tensorboard/, checkpoints/
  failure/             variables and batch of a step whose loss was not finite
  lock                 held by the process that trains
"""

from __future__ import annotations

import json
import os
import secrets
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from dltrain.config import Document, load_document, parse
from dltrain.datasets import FileDigest
from dltrain.errors import ConfigError, DltrainError, DltrainWarning, RunError
from dltrain.files.atomic import write_atomically
from dltrain.files.plain import check_plain_folder, open_plain_file, read_plain_file
from dltrain.files.storage_errors import storage_errors
from dltrain.files.temporary import remove, remove_temporary, temporary_for
from dltrain.runs.lock import RunLock
from dltrain.runs.names import find_run, new_run_folder
from dltrain.training.run_config import RunConfig

Status = Literal["running", "completed", "stopped", "failed", "diverged"]

LARGEST_RECORD = 2**20  # bytes of run.json as it is written
_LARGEST_READ = 4 * LARGEST_RECORD  # earlier versions wrote more
_COUNTED = {"at", "step", "times", "last_at", "last_step"}
_PARTS_OWN = {*_COUNTED, "command", "train"}  # what each entry of `resumed` has
_MOST_WORDS, _LONGEST_WORD = 50, 1000  # of a command line that is kept


class RunDirectory:
    """The directory of a run; made by `create` (for a new run) or `open` (for one that is there).

    To write into it, hold its lock: `create` takes it, after `open` call `lock`. As a context manager, it
    releases the lock at the end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: RunLock | None = None
        self._id: str | None = None

    @property
    def name(self) -> str:
        return self.path.absolute().name

    @property
    def id(self) -> str:
        """What tells this run from others, also where it was moved or copied to; in `run.json`."""
        if self._id is None:
            identity = self.record().get("id")
            if not isinstance(identity, str):
                raise self._damaged_record("it holds no id")
            self._id = identity
        return self._id

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def source_config(self) -> Path:
        return self.path / "config.source.yaml"

    @property
    def record_file(self) -> Path:
        return self.path / "run.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def failure(self) -> Path:
        return self.path / "failure"

    @classmethod
    def create(
        cls,
        path: Path | None = None,
        *,
        runs: Path = Path("runs"),
        name: str = "mlp",
        now: datetime | None = None,
    ) -> Self:
        """Makes the directory of a new run and locks it.

        Arguments:
            path: exactly this directory, which must be empty or not exist; None for a new name below `runs`.
            name: first part of the new name; followed by date, time and four random letters.
            now: the time in that name; the local time if None.

        Raises RunError if `path` is in use, UsageError for a bad `name`, StorageError.
        """
        if path is None:
            path = new_run_folder(runs, name, now or datetime.now())
        with storage_errors(path, "cannot create run directory"):
            if path.exists() and not path.is_dir():
                raise RunError("not a directory", where=str(path), fix="give another --run-dir")
            path.mkdir(parents=True, exist_ok=True)
        run = cls(path)
        run._unfinished()
        run.lock()
        try:
            for name in run._unfinished():  # another process may have been faster, and even be done
                with storage_errors(path / name, "cannot remove"):
                    remove(path / name)
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def open(cls, reference: str, runs: Path = Path("runs")) -> Self:
        """Finds the run that `reference` means.

        Arguments:
            reference: its path, a unique prefix of its name below `runs`, or `latest`.

        Raises RunError when there is none, or more than one.
        """
        return cls(find_run(reference, runs, started=_started))

    def lock(self) -> None:
        """Makes this process the one writer.

        Raises RunError when another one is, or a folder in it is a link, which would lead the writer outside.
        """
        self._lock = RunLock(self.path / "lock")
        folders = [self.tensorboard / name for name in ("", "train", "validation")]
        try:
            for folder in (self.checkpoints, self.failure, *folders):
                with storage_errors(folder, "cannot lock run"):
                    check_plain_folder(folder, RunError)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Releases the lock, if it is held."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def begin(
        self,
        *,
        config: str,
        source_config: bytes,
        command: Sequence[str],
        overrides: Sequence[str],
        seed: int,
        train: Mapping[str, Any],
        files: Sequence[FileDigest],
        environment: Mapping[str, Any],
    ) -> None:
        """Writes both configs, `run.json` with status `running`, and makes the folder for checkpoints.

        Arguments:
            config: the resolved config, as YAML; `source_config`: the file that the user wrote.
            command: the command line, a word an item; `overrides`: its `key=value` items.
            train: of the config, what may change when the run is resumed.
            files: of the data set.
            environment: see `describe_environment`.
        """
        self._id = secrets.token_hex(8)
        with storage_errors(self.checkpoints, "cannot create"):
            self.checkpoints.mkdir()
        write_atomically(self.config, config.encode())
        write_atomically(self.source_config, source_config)
        self._write_record(
            {
                "format": 1,
                "id": self._id,
                "status": "running",
                "command": _kept(command),
                "overrides": _kept(overrides),
                "seed": seed,
                "train": dict(train),
                "data": [asdict(file) for file in files],
                **environment,
                "started": _now(),
                "ended": None,
                "exit_code": None,
                "resumed": [],
            }
        )

    def resume(
        self,
        *,
        step: int,
        train: Mapping[str, Any],
        command: Sequence[str],
        files: Sequence[FileDigest],
        environment: Mapping[str, Any],
    ) -> None:
        """Notes in `run.json` that training goes on after `step`, and that the run is running again.

        What a killed process left under a temporary name is removed.
        """
        with storage_errors(self.path, "cannot tidy up"):
            remove_temporary(self.path)
        record = self.record()
        again = {"at": _now(), "step": step, "command": _kept(command), "train": dict(train), **environment}
        resumed = _bounded([*record["resumed"], again], record)
        self._write_record(
            record
            | {"status": "running", "ended": None, "exit_code": None, "resumed": resumed}
            | {"data": [asdict(file) for file in files]}
        )

    def finish(self, status: Status, exit_code: int) -> None:
        """Notes in `run.json` how the run ended, and when."""
        self._write_record(self.record() | {"status": status, "ended": _now(), "exit_code": exit_code})

    def record(self) -> dict[str, Any]:
        """The content of `run.json`. Raises RunError when it is missing or damaged."""
        with storage_errors(self.record_file, "cannot read"):
            try:
                content = read_plain_file(self.record_file, at_most=_LARGEST_READ, error=RunError)
                record = json.loads(content)
            except FileNotFoundError as error:
                raise RunError(
                    "not a run directory",
                    where=str(self.path),
                    why="it holds no run.json",
                    fix="give the directory of one run",
                ) from error
            except (ValueError, RecursionError) as error:
                raise self._damaged_record(str(error)) from error
        if not (isinstance(record, dict) and isinstance(record.get("resumed"), list)):
            raise self._damaged_record("it is no record of a run")
        if not all(isinstance(again, dict) and _is_count(again.get("step")) for again in record["resumed"]):
            raise self._damaged_record("it does not tell how the run was trained")
        return record

    def check_files(self, files: Sequence[FileDigest]) -> None:
        """Raises RunError when `changed_files` names some."""
        if changed := self.changed_files(files):
            raise RunError(
                "the data set has changed since the run began",
                where=", ".join(changed),
                why="its content is another",
                fix="put the original file back, or start a new run",
            )

    def changed_files(self, files: Sequence[FileDigest]) -> list[str]:
        """The paths of those data files that are not what they were when the run was trained last.

        None of a run of an earlier version, which did not note them.
        """
        noted = self.record().get("data")
        if not isinstance(noted, list):
            return []
        before = [(each.get("size"), each.get("sample_sha256")) for each in noted if isinstance(each, dict)]
        pairs = zip_longest(files, before)
        return [file.path for file, was in pairs if file and (file.size, file.sample_sha256) != was]

    def warn_of_changed_files(self, files: Sequence[FileDigest]) -> None:
        """Warns, in a line, when `changed_files` names some."""
        if changed := self.changed_files(files):
            line = "the data set has changed since the run was trained: its content is another"
            warnings.warn(DltrainWarning(f"{', '.join(changed)}: {line}"), stacklevel=3)

    def parts(self) -> list[tuple[int, dict[str, Any]]]:
        """The step after which each part of the run began, and the config's `train` in it.

        Raises RunError when `run.json` does not tell them.
        """
        record = self.record()
        parts = [(entry["step"], entry.get("train")) for entry in ({**record, "step": 0}, *record["resumed"])]
        if record.get("forgotten") or not all(isinstance(train, dict) for _, train in parts):
            raise self._damaged_record("it does not tell how the run was trained")
        return parts

    def load_config(self) -> tuple[Document, RunConfig]:
        """The run's config, with the places in its file. Raises RunError when it is missing or damaged."""
        with storage_errors(self.config, "cannot read"), suppress(FileNotFoundError):
            os.close(open_plain_file(self.config, error=RunError))  # no link out of the directory
        try:
            document = load_document(self.config)
            return document, parse(RunConfig, document)
        except ConfigError as error:
            first = error.problems[0]
            why = ": ".join(part for part in (first.what, first.why) if part)
            fix = "put the original file back"
            raise RunError("damaged config of a run", where=first.where, why=why, fix=fix) from error

    def _damaged_record(self, why: str) -> RunError:
        fix = "put the original file back, or start a new run"
        return RunError("damaged file", where=str(self.record_file), why=why, fix=fix)

    def _write_record(self, record: Mapping[str, Any]) -> None:
        while len(content := json.dumps(record, indent=1, allow_nan=False).encode()) >= LARGEST_RECORD:
            resumed = record["resumed"]
            record = {**record, "resumed": resumed[len(resumed) // 2 + 1 :], "forgotten": True}
        write_atomically(self.record_file, content + b"\n")

    def _unfinished(self) -> set[str]:
        """The names of what a process left that was killed before it had written `run.json`.

        Raises RunError when there is anything else besides the lock.
        """
        with storage_errors(self.path, "cannot read"):
            names = set(os.listdir(self.path))
            kept = {each.name for each in (self.config, self.source_config, self.record_file)}
            left = {name for name in names if name in kept or temporary_for(name) in kept}
            if self.checkpoints.is_dir() and not os.listdir(self.checkpoints):
                left.add(self.checkpoints.name)
        if self.record_file.name in left or names - left - {"lock"} or (left and "lock" not in names):
            raise RunError(
                "run directory is not empty",
                where=str(self.path),
                fix="give another --run-dir or remove it; to continue the run in it, use --resume",
            )
        return left


def _started(run: Path) -> str:
    """When the run began, as text that sorts; a run whose record is damaged counts as the oldest."""
    try:
        return str(RunDirectory(run).record().get("started", ""))
    except DltrainError:
        return ""


def _bounded(resumed: list[dict[str, Any]], first: Mapping[str, Any]) -> list[dict[str, Any]]:
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


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in _COUNTED}


def _kept(words: Sequence[str]) -> list[str]:
    """A command line as far as it is kept."""
    return [word[:_LONGEST_WORD] for word in words[:_MOST_WORDS]]


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**62


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
