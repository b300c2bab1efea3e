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

import os
import secrets
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, Self

from dltrain.config import Document, load_document, parse
from dltrain.datasets import FileDigest
from dltrain.errors import ConfigError, DltrainWarning, RunError
from dltrain.files.atomic import write_atomically
from dltrain.files.plain import check_plain_folder, open_plain_file
from dltrain.files.storage_errors import storage_errors
from dltrain.files.temporary import remove, remove_temporary, temporary_for
from dltrain.runs.damage import ORIGINAL_BACK, damaged_file
from dltrain.runs.lock import RunLock
from dltrain.runs.names import find_run, new_run_folder
from dltrain.runs.record import bounded, kept_words, read_record, write_record
from dltrain.training.run_config import RunConfig

Status = Literal["running", "completed", "stopped", "failed", "diverged"]


class RunDirectory:
    """The directory of a run; made by `create` (for a new run) or `open` (for one that is there).

    To write into it, hold its lock: `create` takes it, after `open` call `lock`. As a context manager, it
    releases the lock at the end.

    Attributes:
        path: the directory; what is in it, see above, may be missing.
        config, source_config, record_file, metrics, summary, tensorboard, checkpoints, failure: paths in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.source_config = path / "config.yaml", path / "config.source.yaml"
        self.record_file, self.summary = path / "run.json", path / "summary.json"
        self.metrics, self.tensorboard = path / "metrics.jsonl", path / "tensorboard"
        self.checkpoints, self.failure = path / "checkpoints", path / "failure"
        self._lock: RunLock | None = None

    @property
    def name(self) -> str:
        return self.path.absolute().name

    @cached_property
    def id(self) -> str:
        """What tells this run from others, also where it was moved or copied to; in `run.json`."""
        identity = self.record().get("id")
        if not isinstance(identity, str):
            raise damaged_file(self.record_file, "it holds no id")
        return identity

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
        return cls(find_run(reference, runs))

    def lock(self) -> None:
        """Makes this process the one writer.

        Raises RunError when another one is, or a folder in it is a link, which would lead the writer outside.
        """
        folders = [self.tensorboard / name for name in ("", "train", "validation")]
        for folder in (self.checkpoints, self.failure, *folders):
            with storage_errors(folder, "cannot lock run"):
                check_plain_folder(folder, RunError)
        self._lock = RunLock(self.path / "lock")

    def close(self) -> None:
        """Releases the lock, if it is held."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
            config: resolved, as YAML; `source_config`: the file that the user wrote.
            command: the command line, a word an item; `overrides`: its `key=value` items.
            train: of the config, what may change when the run is resumed.
            files: of the data set.
            environment: see `describe_environment`.
        """
        self.id = secrets.token_hex(8)
        with storage_errors(self.checkpoints, "cannot create"):
            self.checkpoints.mkdir()
        write_atomically(self.config, config.encode())
        write_atomically(self.source_config, source_config)
        record = {"format": 1, "id": self.id, "status": "running"}
        record |= {"command": kept_words(command), "overrides": kept_words(overrides), "seed": seed}
        record |= {"train": dict(train), "data": [asdict(file) for file in files], **environment}
        record |= {"started": _now(), "ended": None, "exit_code": None, "resumed": []}
        write_record(self.record_file, record)

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
        record, digests = self.record(), [asdict(file) for file in files]
        again = {"at": _now(), "step": step, "command": kept_words(command), "train": dict(train)}
        record["resumed"] = bounded([*record["resumed"], {**again, **environment}], record)
        record |= {"status": "running", "ended": None, "exit_code": None, "data": digests}
        write_record(self.record_file, record)

    def finish(self, status: Status, exit_code: int) -> None:
        """Notes in `run.json` how the run ended, and when."""
        ended = {"status": status, "ended": _now(), "exit_code": exit_code}
        write_record(self.record_file, self.record() | ended)

    def record(self) -> dict[str, Any]:
        """The content of `run.json`. Raises RunError when it is missing or damaged."""
        return read_record(self.record_file)

    def check_files(self, files: Sequence[FileDigest]) -> None:
        """Raises RunError when `changed_files` names some."""
        if changed := self.changed_files(files):
            what, why = "the data set has changed since the run began", "its content is another"
            raise RunError(what, where=", ".join(changed), why=why, fix=ORIGINAL_BACK)

    def changed_files(self, files: Sequence[FileDigest]) -> list[str]:
        """The paths of those data files that are not what they were when the run was trained last.

        None of a run of an earlier version, which did not note them.
        """
        noted = self.record().get("data")
        if not isinstance(noted, list):
            return []
        before = [
            FileDigest(each.get("path", ""), each.get("size", -1), each.get("sample_sha256", ""))
            for each in noted
            if isinstance(each, dict)
        ]
        pairs = zip_longest(files, before)
        return [file.path for file, was in pairs if file and not (was and file.same_content(was))]

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
            raise damaged_file(self.record_file, "it does not tell how the run was trained")
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
