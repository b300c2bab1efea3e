"""What the readers of the file formats share."""

from __future__ import annotations

import gzip
import mmap
import os
from typing import Any, BinaryIO, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from dltrain.errors import DataError

MAXIMUM_DEFLATE_RATIO = 1032  # bytes that one compressed byte can become (zlib, "Technical Details")
CHUNK = 2**20


def require_file(path: str | os.PathLike[str]) -> None:
    """Raises DataError unless there is a file at `path`."""
    if not os.path.isfile(path):
        raise DataError(
            "not a file" if os.path.exists(path) else "no such file",
            where=os.fspath(path),
            fix="correct the path" + ("" if os.path.isabs(path) else ", which begins at the current folder"),
        )


class Damage(Exception):
    """What is wrong with the file that is being read; the reader adds its name."""


class ReadableInto(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...


def open_content(file: BinaryIO) -> tuple[BinaryIO, bool]:
    """The content of `file`, and whether that is gzip-compressed, which its first bytes tell."""
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return (cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb")) if compressed else file), compressed


def fill(array: NDArray[Any], stream: ReadableInto) -> None:
    """Reads the bytes of a contiguous array from the stream; raises Damage if it ends too early."""
    content = array.reshape(-1).view(np.uint8).data
    filled = 0
    while filled < len(content) and (count := stream.readinto(content[filled : filled + CHUNK])):
        filled += count
    if filled < len(content):
        raise Damage(ends_early(filled, len(content)))


def ends_early(found: int, promised: int) -> str:
    return f"it ends after {found} of the {promised} bytes that its header promises"


def map_array(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> NDArray[Any]:
    """The array that begins `offset` bytes into the file: read-only, its pages read from disk when used.

    It stays usable when the file is closed, removed or replaced, but not when the file itself is cut.
    """
    mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.ndarray(shape, dtype, mapping, offset)
