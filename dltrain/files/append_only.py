"""A file that only grows: each piece is appended whole or not at all, and it can be cut back to resume."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dltrain.errors import StorageError
from dltrain.files.atomic import write_all
from dltrain.files.plain import open_plain_file
from dltrain.files.storage_errors import storage_errors


class AppendOnlyFile:
    """An open file to append to.

    Arguments:
        path: the file.
        new: create it (it must not exist yet), or continue one that is there.

    Raises StorageError when the file is no plain one, cannot be opened or written, or was removed in the
    meantime.
    """

    def __init__(self, path: Path, *, new: bool) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT | os.O_EXCL if new else 0)
        with storage_errors(path, "cannot create" if new else "cannot open"):
            self._descriptor = open_plain_file(path, error=StorageError, flags=flags)
            self.size = os.fstat(self._descriptor).st_size

    def append(self, data: bytes) -> None:
        """Appends all of `data`; if that fails, the file keeps its old length."""
        with storage_errors(self.path):
            try:
                write_all(self._descriptor, data)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self.size)
                raise
            self.size += len(data)
            removed = os.fstat(self._descriptor).st_nlink == 0
        if removed:  # the system would go on writing to a file without a name
            raise StorageError("cannot write", where=str(self.path), why="the file was removed")

    def sync(self) -> None:
        """Flushes what was appended to disk."""
        with storage_errors(self.path):
            os.fsync(self._descriptor)

    def truncate_to(self, size: int) -> None:
        """Cuts the file back to its first `size` bytes. Raises ValueError when it has fewer."""
        if not 0 <= size <= self.size:
            raise ValueError(f"a file of {self.size} bytes is not cut back to {size}")
        with storage_errors(self.path):
            os.ftruncate(self._descriptor, size)
            os.fsync(self._descriptor)
        self.size = size

    def byte_before(self, position: int) -> bytes:
        """The byte that ends at `position`; empty where the file has none."""
        with storage_errors(self.path, "cannot read"):
            os.lseek(self._descriptor, max(position - 1, 0), os.SEEK_SET)
            return os.read(self._descriptor, 1) if position > 0 else b""

    def close(self) -> None:
        """Closes the file; closing twice is harmless."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            with storage_errors(self.path):
                os.close(descriptor)
