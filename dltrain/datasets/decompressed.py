"""Decompressed files, kept beside their source, so that they are decompressed once and can be mapped.

The content of the gzip file FOLDER/NAME is kept in FOLDER/.cache/NAME.decompressed: a header, then the
content. The header says of which state of the source this is (size, time of change, and the checksum at its
end), and the content's CRC-32, which is compared each time. So what is damaged, or of another source, is not
believed but made again. CRC-32 is what gzip itself trusts, and faster than any cryptographic hash.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from dltrain.datasets.reading import CHUNK
from dltrain.errors import DataError
from dltrain.files.plain import open_plain_file
from dltrain.files.temporary import remove_abandoned, temporary_file

HEADER = struct.Struct("<8sQq8sI")  # the rest: _stamp; the content's CRC-32


def open_kept(source: BinaryIO, content: Iterable[bytes]) -> BinaryIO | None:
    """The kept content of a file, open at its first byte; None where nothing can be kept.

    A folder that cannot be written, or a full disk, is no error: there is just nothing kept. Several
    processes may do this at once.

    Arguments:
        source: the compressed file, at its first byte.
        content: the parts of its content, taken when nothing right is kept yet. What that raises is passed
            on, but for an OSError.
    """
    folder, name = os.path.split(source.name)
    path = Path(folder, ".cache", f"{name}.decompressed")
    try:
        remove_abandoned(path.parent)
        stamp = _stamp(source)
        if kept := _open_if_right(path, stamp):
            return kept
        path.parent.mkdir(exist_ok=True)
        try:
            with temporary_file(path) as temporary:
                _write(temporary, stamp, content)
                os.replace(temporary, path)
        finally:
            with suppress(OSError):
                path.parent.rmdir()  # which is refused unless the folder is empty
        return _open_if_right(path, stamp)
    except OSError:
        return None


def _stamp(source: BinaryIO) -> bytes:
    """What changes when the source does: a header without the content's checksum."""
    status = os.stat(source.fileno())
    source.seek(-min(8, status.st_size), os.SEEK_END)  # where gzip has CRC-32 and size of the content
    end = source.read(8)
    source.seek(0)
    return HEADER.pack(b"dltrain1", status.st_size, status.st_mtime_ns % 2**63, end, 0)[:-4]


def _write(path: Path, stamp: bytes, parts: Iterable[bytes]) -> None:
    checksum = 0
    with open(path, "wb") as file:
        file.seek(HEADER.size)
        for part in parts:
            file.write(part)
            checksum = zlib.crc32(part, checksum)
        file.seek(0)
        file.write(stamp + checksum.to_bytes(4, "little"))


def _open_if_right(path: Path, stamp: bytes) -> BinaryIO | None:
    """The file at `path` behind its header, if it is there, undamaged and of this stamp."""
    try:
        file = os.fdopen(open_plain_file(path, error=DataError), "rb")
    except (FileNotFoundError, DataError):
        return None
    header, checksum = file.read(HEADER.size), 0
    # Read, not mapped: pages that are only mapped to be checked would count as this process's memory.
    while header[:-4] == stamp and (part := file.read(CHUNK // 4)):
        checksum = zlib.crc32(part, checksum)
    if header == stamp + checksum.to_bytes(4, "little"):
        file.seek(HEADER.size)
        return file
    file.close()
    return None
