"""Checkpoints: folders that are whole or absent, each byte of which is covered by a SHA-256.

    checkpoints/
      step-00000469/state.safetensors   every array of the session
      step-00000469/checkpoint.json     step, epoch, the trainer's counters, shapes, hashes
      last, best                        one line each: the name of a checkpoint, and a checksum of it

A checkpoint is built in a hidden folder, flushed to disk, read back and verified, renamed into place, and
only then are older ones removed. Readers trust no pointer and no name alone: what they return was verified.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dltrain.errors import RunError, StorageError
from dltrain.files.atomic import sync_folder, write_atomically, write_file
from dltrain.files.plain import check_plain_folder, read_plain_file
from dltrain.files.storage_errors import storage_errors
from dltrain.files.temporary import remove, remove_temporary, temporary_folder, temporary_name
from dltrain.runs.checkpoint_format import (
    MANIFEST,
    STATE,
    Manifest,
    NewerFormatError,
    array_parts,
    describe_arrays,
    parse_arrays,
)
from dltrain.runs.damage import damaged_checkpoint

_NAME = re.compile(r"step-([0-9]{8,18})")
_REPLACED = re.compile(r"\.(step-[0-9]{8,18})\.replaced")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory; verified, where it was read.

    Attributes:
        step, epoch: where training stood, as the trainer counts them.
        arrays: every array of the session by name.
        trainer_state: the trainer's own counters; plain data.
        best_step: step of the best checkpoint so far, perhaps this one; None if none was called best.
        path: its folder.
    """

    step: int
    epoch: int
    arrays: Mapping[str, np.ndarray]
    trainer_state: Mapping[str, Any]
    best_step: int | None
    path: Path


class CheckpointStore:
    """The checkpoints of one run.

    Arguments:
        folder: the run's `checkpoints/`, which exists.
        keep: how many of the newest to keep, at least 2. The best one of each kept one is kept besides.

    `save` and `load_newest` are for the one writer of the run, who holds its lock; `load` changes nothing.
    Every method raises RunError for what is missing or damaged, StorageError for trouble of input and output.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        if keep < 2:
            raise ValueError(f"keep must be at least 2, not {keep}")
        check_plain_folder(folder, RunError)
        self.folder = folder
        self.keep = keep

    def save(
        self,
        step: int,
        epoch: int,
        arrays: Mapping[str, np.ndarray],
        trainer_state: Mapping[str, Any],
        best: bool,
    ) -> Path:
        """Saves a checkpoint and returns its folder.

        Arguments:
            arrays: float32, float64, int64, uint8 or bool arrays of any shape by name.
            trainer_state: plain data (mappings with string keys, lists, strings, numbers, booleans, None).
            best: this is the best one so far; the pointer `best` will name it.

        A checkpoint of the same step is replaced; those of later steps, left by another course of training,
        are removed. If it fails, the earlier checkpoints are as they were.
        """
        path = self._path(step)
        with storage_errors(path, "cannot save checkpoint"):
            self._tidy()
            best_step = step if best else self._pointed("best")
            checkpoint = Checkpoint(step, epoch, arrays, trainer_state, best_step, path)
            try:
                with temporary_folder(path) as temporary:
                    write_checkpoint(temporary, checkpoint)
                    if os.path.lexists(path):
                        os.rename(path, _replaced(path))
                    os.rename(temporary, path)
                sync_folder(self.folder)
                self._point("best", best_step)
                self._point("last", step)
                self._prune(step)
            except BaseException:
                with suppress(OSError):
                    self._tidy()
                raise
        return path

    def load(self, which: str | Path) -> Checkpoint:
        """Reads and verifies a checkpoint: `"last"`, `"best"`, the name of one, or the path of its folder."""
        if which in ("last", "best"):
            step = self._pointed(str(which))
            if step is None:
                what, fix = f"run has no {which} checkpoint", "name another checkpoint, or resume the run"
                raise RunError(what, where=str(self.folder), fix=fix)
            path = self._path(step)
        else:
            path = self.folder / which if _NAME.fullmatch(str(which)) else Path(which)
        match = _NAME.fullmatch(path.name)
        if match is None:
            fix = "write best, last, or a folder such as step-00000469"
            raise RunError("not a checkpoint", where=str(path), fix=fix)
        return read_checkpoint(path, int(match[1]))

    def load_newest(
        self,
        on_damaged: Callable[[Path, RunError], None],
        check: Callable[[Checkpoint], object] = lambda _: None,
    ) -> Checkpoint:
        """Reads the newest checkpoint that is whole, to resume from it, and sets both pointers to match.

        Arguments:
            on_damaged: called for each damaged checkpoint that is newer, with its folder and what is wrong.
            check: raises RunError for a checkpoint that is not to be used, as if it were damaged.

        Raises NewerFormatError at once for a checkpoint that only a later dltrain can read.
        """
        if not self.folder.is_dir():
            raise RunError("no folder of checkpoints", where=str(self.folder), fix="start a new run")
        with storage_errors(self.folder, "cannot tidy up"):
            self._tidy()
        for step in sorted(self.steps(), reverse=True):
            try:
                checkpoint = read_checkpoint(self._path(step), step)
                check(checkpoint)
            except NewerFormatError:
                raise
            except RunError as error:
                on_damaged(self._path(step), error)
            else:
                self._point("best", checkpoint.best_step)
                self._point("last", step)
                return checkpoint
        raise RunError("no usable checkpoint", where=str(self.folder), fix="start a new run")

    def never_saved(self) -> bool:
        """Whether no checkpoint was ever saved, as of a process that was killed early."""
        pointed = any(os.path.lexists(self.folder / pointer) for pointer in ("best", "last"))
        return self.folder.is_dir() and not pointed and not self.steps()

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """The steps of all checkpoints, in no order."""
        with storage_errors(self.folder, "cannot read"):
            return [int(match[1]) for name in os.listdir(self.folder) if (match := _NAME.fullmatch(name))]

    def _pointed(self, pointer: str) -> int | None:
        """The step that a pointer names; None if there is no pointer."""
        path = self.folder / pointer
        with storage_errors(path, "cannot read"):
            try:
                line = read_plain_file(path, at_most=100, error=RunError)
            except FileNotFoundError:
                return None
        match = _NAME.match(line.decode(errors="replace"))
        if match is None or line != _pointer_line(match[0]):
            fix = "name a checkpoint beside it, or resume the run"
            raise RunError("damaged pointer", where=str(path), why=f"it says {line!r}", fix=fix)
        return int(match[1])

    def _point(self, pointer: str, step: int | None) -> None:
        path = self.folder / pointer
        if step is not None:
            write_atomically(path, _pointer_line(self._path(step).name))
        else:
            with storage_errors(path):
                path.unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Undoes what a save that was cut off left behind."""
        remove_temporary(self.folder)
        for name in os.listdir(self.folder):
            if match := _REPLACED.fullmatch(name):  # the old checkpoint of a step that was being saved again
                path, original = self.folder / name, self.folder / match[1]
                if os.path.lexists(original):
                    remove(path)
                else:
                    os.rename(path, original)

    def _prune(self, newest: int) -> None:
        """Removes all but the `keep` newest up to step `newest`, and the best one as each of these saw it."""
        steps = sorted(self.steps(), reverse=True)
        kept = set([step for step in steps if step <= newest][: self.keep])
        for step in sorted(kept):
            with suppress(RunError, FileNotFoundError):
                check_plain_folder(self._path(step), RunError)
                best_step = Manifest.read(self._path(step) / MANIFEST).best_step
                kept |= {best_step} if best_step is not None else set()
        for step in steps:
            if step not in kept:
                doomed = temporary_name(self._path(step))
                os.rename(self._path(step), doomed)  # so that no half of it keeps its name
                remove(doomed)
        with suppress(FileNotFoundError):
            remove(_replaced(self._path(newest)))


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Fills `folder` with the files of a checkpoint, flushes them to disk, and reads them back.

    To be renamed once it is whole. Raises OSError or StorageError and leaves what was written so far.
    """
    digest = write_file(folder / STATE, array_parts(checkpoint.arrays))
    manifest = Manifest(
        step=checkpoint.step,
        epoch=checkpoint.epoch,
        best_step=checkpoint.best_step,
        arrays=describe_arrays(checkpoint.arrays),
        trainer=dict(checkpoint.trainer_state),
        state_bytes=(folder / STATE).stat().st_size,
        state_sha256=digest,
    )
    write_file(folder / MANIFEST, [manifest.to_bytes()])
    sync_folder(folder)
    try:
        read_checkpoint(folder, checkpoint.step)
    except RunError as error:
        raise StorageError("cannot save checkpoint", where=str(folder), why=str(error)) from error


def _pointer_line(name: str) -> bytes:
    return f"{name} {hashlib.sha256(name.encode()).hexdigest()[:8]}\n".encode()


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def read_checkpoint(path: Path, step: int | None = None) -> Checkpoint:
    """Reads the checkpoint in the folder `path`, of `step` if that is given, and verifies all of it.

    Raises RunError, StorageError.
    """
    if not path.is_dir():
        raise RunError("no such checkpoint", where=str(path), fix=f"see the folders in {path.parent}")
    with storage_errors(path, "cannot read checkpoint"):
        check_plain_folder(path, RunError)
        try:
            manifest = Manifest.read(path / MANIFEST)
            data = read_plain_file(path / STATE, at_most=manifest.state_bytes, error=RunError)
        except FileNotFoundError as error:
            raise damaged_checkpoint(path, f"{Path(error.filename).name} is missing") from error
    if step is not None and manifest.step != step:
        raise damaged_checkpoint(path, f"it holds step {manifest.step}")
    arrays = parse_arrays(path / STATE, data, manifest)
    return Checkpoint(manifest.step, manifest.epoch, arrays, manifest.trainer, manifest.best_step, path)
