"""Temporary files and folders, beside what they become, and the removal of those that nobody fills any more.

Their names are `.NAME.RANDOM.tmp`. Who fills one holds a lock on it, which the system drops with the process,
so that others can tell what a killed process left from what a living one is at.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path


def temporary_name(path: Path) -> Path:
    """An unused hidden name beside `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def temporary_file(path: Path) -> AbstractContextManager[Path]:
    """A new empty file beside `path`, to be filled and renamed; removed if it is not. Raises OSError."""
    return _made(path, partial(Path.touch, exist_ok=False))


def temporary_folder(path: Path) -> AbstractContextManager[Path]:
    """A new empty folder beside `path`, to be filled and renamed; removed if it is not. Raises OSError."""
    return _made(path, Path.mkdir)


@contextmanager
def _made(path: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    while True:
        temporary = temporary_name(path)
        try:
            make(temporary)
            with _locked(temporary, wait=True):  # where there are no locks, others leave it alone
                if os.path.lexists(temporary):
                    yield temporary
                    return
            # Somebody tidied up in the moment before it was locked.
        finally:
            with suppress(OSError):
                remove(temporary)


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Holds the lock on a temporary file or folder; gives whether it could. Raises OSError."""
    if sys.platform == "win32":  # where what is open can be neither renamed nor removed
        yield False
        return
    import fcntl

    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR  # NFS locks only files that may be written
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        yield False
        return
    try:
        locked = False
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            locked = True
        yield locked
    finally:
        os.close(descriptor)


def remove_temporary(folder: Path) -> None:
    """Removes what killed processes left in `folder`, which must be the caller's alone. Raises OSError."""
    for path in _temporary_in(folder):
        remove(path)


def remove_abandoned(folder: Path) -> None:
    """As `remove_temporary`, of a folder that others may be working in: leaves what they are filling.

    Leaves as well what cannot be locked or removed, and a folder that is not there.
    """
    with suppress(OSError):
        for path in _temporary_in(folder):
            with suppress(OSError), _locked(path, wait=False) as locked:
                if locked:
                    remove(path)


def _temporary_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if temporary_for(path.name)]


def temporary_for(name: str) -> str | None:
    """Beside what the temporary file or folder `name` stands; None if it is no such name."""
    match = re.fullmatch(r"\.(.+)\.[0-9a-f]{12}\.tmp", name)
    return match[1] if match else None


def remove(path: Path) -> None:
    """Removes a file, a link, or a folder with all that is in it. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
