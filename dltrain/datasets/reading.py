"""What the readers of the file formats share."""

from __future__ import annotations

import gzip
from typing import Any, BinaryIO, Protocol, cast

import numpy as np
from numpy.typing import NDArray

MAXIMUM_DEFLATE_RATIO = 1032  # bytes that one compressed byte can become (zlib, "Technical Details")
CHUNK = 2**20


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
        raise Damage(f"it ends after {filled} of the {len(content)} bytes that its header promises")
