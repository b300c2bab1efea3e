"""Plain files: what is no link, pipe, device or folder, and no larger than its reader can take.

A file is judged once it is open, so nobody can exchange it in between, and opening waits for nobody.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from dltrain.errors import DltrainError

BINARY: int = getattr(os, "O_BINARY", 0)  # Windows would translate line ends without it
_NO_WAITING: int = getattr(os, "O_NONBLOCK", 0)  # for a pipe's other end
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)


def open_plain_file(
    path: str | os.PathLike[str],
    flags: int = os.O_RDONLY,
    *,
    error: type[DltrainError],
    follow_link: bool = False,
) -> int:
    """Opens the plain file `path` and returns its descriptor, the caller's to close.

    Arguments:
        flags: as of `os.open`.
        error: what to raise when it is no plain file.
        follow_link: whether `path` may be a symbolic link to a plain file, as a user's own may.

    Raises OSError, or `error`.
    """
    if not follow_link and not _NO_LINK and os.path.islink(path):
        raise _not_plain(path, error)
    flags |= BINARY | _NO_WAITING | (0 if follow_link else _NO_LINK)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as trouble:
        if trouble.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):  # a link, a pipe or socket, a folder
            raise _not_plain(path, error) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_plain(path, error)
    return descriptor


def read_plain_file(path: Path, *, at_most: int, error: type[DltrainError]) -> bytes:
    """The content of the plain file `path`, which is no link and has no more than `at_most` bytes.

    Raises OSError, or `error` when it is not such a file.
    """
    with os.fdopen(open_plain_file(path, error=error), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > at_most:
            raise error("file too large", where=str(path), why=f"{size} bytes, at most {at_most}")
        return file.read(size + 1)  # never more than was asked of the file system


def check_plain_folder(path: Path, error: type[DltrainError]) -> None:
    """Raises `error` where `path` is a link, or anything else but a folder; OSError. It may be absent."""
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise error("not a plain folder", where=str(path), fix="put the folder itself there")


def _not_plain(path: str | os.PathLike[str], error: type[DltrainError]) -> DltrainError:
    return error("not a plain file", where=os.fspath(path), fix="put the file itself there")
