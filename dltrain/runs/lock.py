"""One run directory has one writer: an advisory lock that the system drops with the process that held it."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from dltrain.errors import RunError, StorageError
from dltrain.files.atomic import write_all
from dltrain.files.plain import open_plain_file
from dltrain.files.storage_errors import storage_errors

_HELD = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)  # by another process; the last two on Windows

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        # Windows keeps others from reading what is locked, so the byte lies far behind the process id.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class RunLock:
    """Holds the lock on the file `path`, which is created if need be and stays.

    Raises RunError, naming the process, when it is held already, or when the file is no plain one;
    StorageError when it cannot be opened, or the file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        with storage_errors(path, "cannot lock run"):
            self._descriptor = open_plain_file(path, error=RunError, flags=os.O_RDWR | os.O_CREAT)
        try:
            _try_lock(self._descriptor)
        except OSError as error:
            holder = os.read(self._descriptor, 20)
            os.close(self._descriptor)
            if error.errno not in _HELD:
                why, fix = error.strerror or str(error), "train on a file system that has locks"
                raise StorageError("cannot lock run", where=str(path), why=why, fix=fix) from error
            process = holder.decode() if holder.isdigit() else "unknown"
            raise RunError(
                "run is in use",
                where=str(path.parent),
                why=f"locked by process {process}",
                fix="wait until it ends or stop it, or train in another directory",
            ) from error
        with storage_errors(path, "cannot lock run"):
            os.ftruncate(self._descriptor, 0)
            write_all(self._descriptor, str(os.getpid()).encode())

    def release(self) -> None:
        """Lets another process have the lock; releasing twice is harmless."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            os.close(descriptor)
