"""Brings the files of a published data set into a folder: checked, and whole or not there at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from dltrain.datasets.published import PublishedFile, PublishedSet
from dltrain.datasets.reading import open_content
from dltrain.datasets.transfer import TransferError, transfer
from dltrain.errors import DataError
from dltrain.files.atomic import sync_folder
from dltrain.files.storage_errors import storage_errors
from dltrain.files.temporary import remove_abandoned, temporary_file


class Reporter(Protocol):
    """Is told how it goes."""

    def say(self, line: str) -> None:
        """Something happened to a file."""

    def progress(self, name: str, received: int, expected: int | None) -> None:
        """So many bytes of a file have come, of so many (None: the server does not say)."""


def download(
    published: PublishedSet,
    folder: Path,
    reporter: Reporter,
    *,
    mirrors: Sequence[str] = (),
    stall_seconds: float = 20.0,
) -> None:
    """Makes sure that `folder` holds each file of the data set, from the first mirror that serves it right.

    A file that is there and right is left alone; a damaged one is replaced.

    Arguments:
        mirrors: URLs below which the files are served by name, tried in turn; by default the set's own.
        stall_seconds: how long to wait for a server before the next try.

    Raises:
        DataError: no mirror gave a file; the message says why of each, and what can be done by hand.
        StorageError: a file cannot be read or written.
    """
    mirrors = list(mirrors or published.mirrors)
    with storage_errors(folder, "cannot store the data set"):
        for file in _missing_files(published, folder, reporter):
            failures = []
            for mirror in mirrors:
                url = f"{mirror.rstrip('/')}/{file.name}.gz"
                bring = partial(
                    transfer,
                    url,
                    size_limit=file.size_limit,
                    stall_seconds=stall_seconds,
                    progress=partial(reporter.progress, f"{file.name}.gz"),
                )
                try:
                    path = _place(file, folder, bring)
                except TransferError as error:
                    failures.append(f"{url}: {error}")
                    continue
                reporter.say(f"{path.name}: downloaded from {mirror}, checksum right")
                mirrors.sort(key=mirror.__ne__)  # what works is asked first from now on
                break
            else:
                names = ", ".join(f"{file.name}.gz" for file in published.files)
                raise DataError(
                    f"cannot download {file.name}.gz",
                    why=", ".join(failures),
                    fix=f"try later, or with --mirror URL, or put {names} into the folder {folder} by hand",
                )


def copy_from(source: Path, published: PublishedSet, folder: Path, reporter: Reporter) -> list[str]:
    """As `download`, but takes the files from `source`: a folder that holds them, or one of the files.

    Returns the names of the files that `folder` still lacks, as it may when `source` is one file.

    Raises:
        DataError: `source` is not there, or lacks a file, or holds a damaged one.
        StorageError: a file cannot be read or written.
    """
    if not source.exists():
        raise DataError("no such file or folder", where=str(source))
    with storage_errors(folder, "cannot store the data set"):
        if source.is_file() and all(file.fault(source) for file in published.files):
            why = "its checksum fits none"
            raise DataError(f"not a file of {published.title}", where=str(source), why=why)
        still_missing = []
        for file in _missing_files(published, folder, reporter):
            if source.is_file() and file.fault(source):
                still_missing.append(f"{file.name}.gz")
                continue
            found = source if source.is_file() else file.find(source)
            if found is None:
                raise DataError(f"no {file.name}.gz", where=str(source), fix="name a folder that holds it")
            try:
                with open(found, "rb") as content:
                    path = _place(file, folder, partial(shutil.copyfileobj, content))
            except TransferError as error:
                raise DataError("damaged file", where=str(found), why=str(error)) from None
            reporter.say(f"{path.name}: copied from {found}, checksum right")
        return still_missing


def _missing_files(published: PublishedSet, folder: Path, reporter: Reporter) -> Iterator[PublishedFile]:
    """The files that `folder` lacks or holds damaged; what killed processes left there is removed first."""
    remove_abandoned(folder)
    for file in published.files:
        present = file.find(folder)
        if present is None:
            yield file
        elif fault := file.fault(present):
            reporter.say(f"{present.name}: damaged, to be replaced: {fault}")
            yield file
        else:
            reporter.say(f"{present.name}: already there, checksum right")


def _place(file: PublishedFile, folder: Path, bring: Callable[[BinaryIO], None]) -> Path:
    """Puts the file that `bring` writes into the folder if its checksum is right; else leaves no trace.

    Raises TransferError when it is not right, and what `bring` raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with temporary_file(folder / file.name) as temporary:
        with open(temporary, "r+b") as part:
            bring(part)
            part.flush()
            os.fsync(part.fileno())
            part.seek(0)
            _, compressed = open_content(part)
        if fault := file.fault(temporary):
            raise TransferError(fault)
        damaged = file.find(folder)
        path = folder / (f"{file.name}.gz" if compressed else file.name)
        os.replace(temporary, path)
    sync_folder(folder)
    if damaged and damaged != path:
        damaged.unlink(missing_ok=True)
    return path
