"""Data sets in the IDX format, in which MNIST is published; plain or gzip-compressed, told apart by content.

An IDX file is two zero bytes, one byte for the type of the elements, one for the number of dimensions, each
dimension as a big-endian 32-bit number, then the elements in C order, big-endian.
Source: "The IDX file format" in Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from dltrain.datasets.dataset import Dataset, Examples
from dltrain.datasets.decompressed import open_kept
from dltrain.datasets.file_digest import FileDigest
from dltrain.datasets.reading import (
    CHUNK,
    MAXIMUM_DEFLATE_RATIO,
    Damage,
    ReadableInto,
    ends_early,
    fill,
    map_array,
    open_content,
    open_data_file,
)
from dltrain.errors import ConfigError, DataError
from dltrain.files.storage_errors import storage_error
from dltrain.places import Key

ELEMENT_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAXIMUM_RANK = 8


class Idx(Dataset, name="idx"):
    """A data set in four IDX files; the labels' two are not needed when the target is the input."""

    train_images: Path = Field(
        description="IDX file of the training inputs, one an entry of its first dimension"
    )
    train_labels: Path | None = Field(default=None, description="IDX file of the training labels")
    test_images: Path = Field(description="IDX file of the test inputs")
    test_labels: Path | None = Field(default=None, description="IDX file of the test labels")

    @model_validator(mode="after")
    def _labels_are_given(self) -> Self:
        for key in ("train_labels", "test_labels"):
            if self.target == "label" and getattr(self, key) is None:
                fix = "name the file, or set 'target: input'"
                raise ConfigError(f"{key} is missing", where=Key(key), fix=fix)
        return self

    def read(self) -> tuple[Examples, Examples]:
        return (
            read_part(self.train_images, self.train_labels if self.target == "label" else None),
            read_part(self.test_images, self.test_labels if self.target == "label" else None),
        )


def read_part(images: Path, labels: Path | None) -> Examples:
    """The examples in one file of inputs and one of labels."""
    files = tuple(FileDigest.of(path) for path in (images, labels) if path)
    return Examples(
        inputs=read_idx(images, keep_decompressed=True),
        labels=read_idx(labels, keep_decompressed=True) if labels else None,
        inputs_source=str(images),
        labels_source=str(labels),
        files=files,
    )


def read_idx(path: str | os.PathLike[str], *, keep_decompressed: bool = False) -> NDArray[Any]:
    """The array in the IDX file at `path`, in the file's byte order.

    A plain file is memory-mapped, see `map_array`; a compressed one is decompressed into memory. The header
    is believed only as far as the file's size allows, before anything is allocated; at most one byte more
    than the header promises is ever decompressed.

    Arguments:
        keep_decompressed: whether to decompress into a file instead, if one can be written, which is then
            mapped, now and the next time; see `open_kept`.

    Raises:
        DataError: the file is missing, is not IDX, is truncated, has bytes left over or fails its checksum.
        StorageError: the file cannot be read.
    """
    try:
        with open_data_file(path) as file:
            stream, compressed = open_content(file)
            if not compressed:
                return _mapped(file)
            capacity = os.fstat(file.fileno()).st_size * MAXIMUM_DEFLATE_RATIO
            if keep_decompressed and (kept := open_kept(file, lambda: _content(stream, capacity))):
                with kept:
                    return _mapped(kept)
            file.seek(0)  # what could not be kept may have been decompressed in part
            return _in_memory(open_content(file)[0], capacity)
    except Damage as damage:
        reason = str(damage)
    except EOFError:
        reason = "the compressed data ends too early"
    except (gzip.BadGzipFile, zlib.error) as error:
        reason = f"the compressed data is damaged ({error})"
    except OSError as error:
        raise storage_error(path, "cannot read the file", error) from error
    raise DataError("damaged IDX file", where=os.fspath(path), why=reason, fix="get the file again")


@dataclass(frozen=True, slots=True)
class _Header:
    content: bytes
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size: int  # in bytes, of the elements, which follow

    @property
    def promise(self) -> str:
        return f"{' x '.join(map(str, self.shape))} of {self.dtype.name}, {self.size} bytes"


def _read_header(stream: BinaryIO, capacity: int) -> _Header:
    """The header that the stream begins with. Arguments: `capacity`, no file has more bytes than that."""
    start = _read_exactly(stream, 4)
    zeros, type_code, rank = struct.unpack(">HBB", start)
    if zeros != 0 or type_code not in ELEMENT_TYPES:
        raise Damage(f"an IDX file does not begin with the bytes {zeros:04x}{type_code:02x}{rank:02x}")
    if not 1 <= rank <= MAXIMUM_RANK:
        raise Damage(f"its header gives {rank} dimensions, not 1 to {MAXIMUM_RANK}")
    sizes = _read_exactly(stream, 4 * rank)
    shape = struct.unpack(f">{rank}I", sizes)
    dtype = np.dtype(ELEMENT_TYPES[type_code])
    header = _Header(start + sizes, shape, dtype, math.prod(shape) * dtype.itemsize)
    if header.size == 0:
        raise Damage(f"it is empty: its header promises {header.promise}")
    if len(header.content) + header.size > capacity:
        raise Damage(f"its header promises {header.promise}, more than a file of this size can hold")
    return header


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise Damage("it ends inside its header")
    return content


def _mapped(file: BinaryIO) -> NDArray[Any]:
    """The array in a plain file, from where the file stands to its end."""
    capacity = os.fstat(file.fileno()).st_size - file.tell()
    header = _read_header(file, capacity)
    if len(header.content) + header.size < capacity:
        raise Damage(_more_follows(header))
    return map_array(file, header.shape, header.dtype, file.tell())


def _in_memory(stream: BinaryIO, capacity: int) -> NDArray[Any]:
    header = _read_header(stream, capacity)
    array = np.empty(header.shape, header.dtype)
    fill(array, cast(ReadableInto, stream))
    _check_end(stream, header)
    return array


def _content(stream: BinaryIO, capacity: int) -> Iterator[bytes]:
    """The whole file in parts, header and elements."""
    header = _read_header(stream, capacity)
    yield header.content
    left = header.size
    while left:
        if not (part := stream.read(min(left, CHUNK))):
            raise Damage(ends_early(header.size - left, header.size))
        yield part
        left -= len(part)
    _check_end(stream, header)


def _check_end(stream: BinaryIO, header: _Header) -> None:
    if stream.read(1):  # this read is also what makes gzip compare its checksum
        raise Damage(_more_follows(header))


def _more_follows(header: _Header) -> str:
    return f"its header promises {header.promise}, but more follows"
