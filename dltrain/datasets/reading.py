"""What the readers of the file formats share."""

from __future__ import annotations

import gzip
import math
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from dltrain.errors import DataError
from dltrain.files.plain import open_plain_file
from dltrain.files.storage_errors import storage_errors

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


@contextmanager
def open_data_file(path: str | os.PathLike[str]) -> Iterator[BufferedReader]:
    """The file at `path`, or where a link there leads, open to be read within the block.

    Raises:
        DataError: there is no plain file.
        StorageError: it cannot be read; also of what the block raises as OSError.
    """
    require_file(path)
    opener = partial(open_plain_file, error=DataError, follow_link=True)
    with storage_errors(path, "cannot read the file"), open(path, "rb", opener=opener) as file:
        yield file


class Damage(ValueError):
    """What is wrong with the file that is being read; the reader adds its name."""


def open_content(file: BinaryIO) -> tuple[BinaryIO, bool]:
    """The content of `file`, and whether that is gzip-compressed, which its first bytes tell."""
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return (cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb")) if compressed else file), compressed


def described(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Such as "3 x 4 of uint8"."""
    return f"{' x '.join(map(str, shape)) or 'a single number'} of {dtype.name}"


def promise(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """What a header says of its array, for errors."""
    return f"its header promises {described(shape, dtype)}, {math.prod(shape) * dtype.itemsize} bytes"


def map_array(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> NDArray[Any]:
    """The array that begins `offset` bytes into the file: read-only, its pages read from disk when used.

    It stays usable when the file is closed, removed or replaced, but not when the file itself is cut. Where
    the system does not map the file, it is read into memory.
    """
    try:
        buffer: mmap.mmap | bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:  # some file systems cannot, and limits on address space may not let them
        file.seek(offset)
        buffer, offset = file.read(math.prod(shape) * dtype.itemsize), 0
    return np.ndarray(shape, dtype, buffer, offset)
