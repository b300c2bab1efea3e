"""Files that are whole or absent: written under another name, flushed to disk, read back, then renamed.

Every failure of the operating system becomes a `StorageError` that names the path and the reason, and leaves
no temporary file. Names of temporary files and folders are `.NAME.RANDOM.tmp`, beside what they become.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dltrain.errors import RunError, StorageError

BINARY: int = getattr(os, "O_BINARY", 0)  # Windows would translate line ends without it

_ADVICE = {
    errno.ENOSPC: "free space on this disk",
    errno.EDQUOT: "free space within your quota",
    errno.EACCES: "check the permissions of the file and its folder",
    errno.EPERM: "check the permissions of the file and its folder",
    errno.EROFS: "choose a folder that can be written",
    errno.ENOENT: "check that the folder exists",
    errno.ENOTDIR: "choose a path that does not lead through a file",
    errno.EEXIST: "move away what has this name",
    errno.EISDIR: "choose the name of a file",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextmanager
def storage_errors(path: Path, what: str = "cannot write") -> Iterator[None]:
    """Turns an OSError inside the block into a StorageError `what: path: reason`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        fix = _ADVICE.get(error.errno or 0, "")
        raise StorageError(what, where=str(path), why=reason, fix=fix) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Makes `data` the content of `path`, wholly or not at all, even if the machine stops in between.

    Raises StorageError; the file then is what it was before.
    """
    temporary = temporary_name(path)
    with storage_errors(path):
        try:
            digest = write_new_file(temporary, [data])
            if hashlib.sha256(read_plain_file(temporary)).hexdigest() != digest:
                raise OSError(errno.EIO, "what was read back differs from what was written")
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_new_file(path: Path, parts: Iterable[bytes | memoryview]) -> str:
    """Creates `path`, which must not exist, writes `parts` one after the other and flushes them to disk.

    Returns the SHA-256 of the content in hexadecimal. Raises OSError and leaves what was written so far.
    """
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o666)
    try:
        for part in parts:
            digest.update(part)
            write_all(descriptor, part)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Writes all of `data` (bytes, or a view of bytes); `os.write` alone may write less."""
    rest = memoryview(data)
    while len(rest):
        rest = rest[os.write(descriptor, rest) :]


def read_plain_file(path: Path, *, at_most: int | None = None) -> bytes:
    """The content of `path`, which must be a plain file (no link, pipe or device) of `at_most` bytes.

    Raises OSError, or RunError when it is not such a file.
    """
    size = size_of_plain_file(path)
    if at_most is not None and size > at_most:
        raise RunError("file too large", where=str(path), why=f"{size} bytes, at most {at_most}")
    with path.open("rb") as file:
        return file.read(size + 1)  # never more than was asked of the file system


def size_of_plain_file(path: Path) -> int:
    """In bytes. Raises OSError, or RunError when it is a link, pipe or device."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise RunError("not a plain file", where=str(path), fix="put the file itself there")
    return status.st_size


def sync_folder(folder: Path) -> None:
    """Flushes the names in `folder` to disk, so that a rename survives a power cut. Raises OSError."""
    if sys.platform != "win32":  # Windows cannot open a folder, and needs no such call
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def temporary_name(path: Path) -> Path:
    """An unused hidden name beside `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def remove_temporary(folder: Path) -> None:
    """Removes what killed processes left in `folder`, which must be the caller's alone. Raises OSError."""
    for path in list(folder.iterdir()):
        if re.fullmatch(r"\..+\.[0-9a-f]{12}\.tmp", path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
