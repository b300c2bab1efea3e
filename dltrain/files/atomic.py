"""Files that are whole or absent: written under another name, flushed to disk, read back, then renamed.

Every failure of the operating system becomes a `StorageError` that names the path and the reason, and leaves
no temporary file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from dltrain.errors import StorageError
from dltrain.files.plain import BINARY, read_plain_file
from dltrain.files.storage_errors import storage_errors
from dltrain.files.temporary import temporary_file


def write_atomically(path: Path, data: bytes) -> None:
    """Makes `data` the content of `path`, wholly or not at all, even if the machine stops in between.

    Raises StorageError; the file then is what it was before.
    """
    with storage_errors(path):
        with temporary_file(path) as temporary:
            digest = write_file(temporary, [data])
            written = read_plain_file(temporary, at_most=len(data), error=StorageError)
            if hashlib.sha256(written).hexdigest() != digest:
                raise OSError(errno.EIO, "what was read back differs from what was written")
            os.replace(temporary, path)
        sync_folder(path.parent)


def write_file(path: Path, parts: Iterable[bytes | memoryview]) -> str:
    """Writes `parts` one after the other into `path`, made if need be, and flushes them to disk.

    Returns the SHA-256 of the content in hexadecimal. Raises OSError and leaves what was written so far.
    """
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o666)
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


def sync_folder(folder: Path) -> None:
    """Flushes the names in `folder` to disk, so that a rename survives a power cut. Raises OSError."""
    if sys.platform != "win32":  # Windows cannot open a folder, and needs no such call
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
