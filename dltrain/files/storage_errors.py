"""What the operating system says of files, as an error with a path, the reason and what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from dltrain.errors import StorageError

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
def storage_errors(path: str | os.PathLike[str], what: str = "cannot write", fix: str = "") -> Iterator[None]:
    """Turns an OSError inside the block into a StorageError `what: path: reason`, with what to do."""
    try:
        yield
    except OSError as error:
        reason, advice = error.strerror or str(error), fix or _ADVICE.get(error.errno or 0, "")
        raise StorageError(what, where=os.fspath(path), why=reason, fix=advice) from error
