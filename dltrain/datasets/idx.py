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
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Self

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
    map_array,
    open_content,
    open_data_file,
    promise,
)
from dltrain.errors import ConfigError, DataError
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
            if self.has_targets and getattr(self, key) is None:
                fix = "name the file, or set 'target: input'"
                raise ConfigError(f"{key} is missing", where=Key(key), fix=fix)
        return self

    def read(self) -> tuple[Examples, Examples]:
        return (
            read_part(self.train_images, self.train_labels if self.has_targets else None),
            read_part(self.test_images, self.test_labels if self.has_targets else None),
        )


def read_part(images: Path, labels: Path | None) -> Examples:
    """The examples in one file of inputs and one of labels."""
    files = tuple(FileDigest.of(path) for path in (images, labels) if path)
    return Examples(
        inputs=read_idx(images, keep_decompressed=True),
        targets=read_idx(labels, keep_decompressed=True) if labels else None,
        inputs_source=str(images),
        targets_source=str(labels),
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
    with open_data_file(path) as file:
        try:
            stream, compressed = open_content(file)
            if not compressed:
                return _mapped(file)
            capacity = os.fstat(file.fileno()).st_size * MAXIMUM_DEFLATE_RATIO
            if keep_decompressed and (kept := open_kept(file, _content(stream, capacity))):
                with kept:
                    return _mapped(kept)
            file.seek(0)  # what could not be kept may have been decompressed in part
            memory = BytesIO()
            memory.writelines(_content(open_content(file)[0], capacity))
            memory.seek(0)
            _, shape, dtype = _read_header(memory, capacity)
            return np.ndarray(shape, dtype, memory.getbuffer(), memory.tell())
        except Damage as damage:
            reason = str(damage)
        except EOFError:
            reason = "the compressed data ends too early"
        except (gzip.BadGzipFile, zlib.error) as error:
            reason = f"the compressed data is damaged ({error})"
    raise DataError("damaged IDX file", where=os.fspath(path), why=reason, fix="get the file again")


def _read_header(stream: BinaryIO, capacity: int) -> tuple[bytes, tuple[int, ...], np.dtype[Any]]:
    """The header that the stream begins with, as it stands there, and the array's shape and type.

    Arguments:
        capacity: no file has more bytes than that.
    """
    try:
        content = stream.read(4)
        zeros, type_code, rank = struct.unpack(">HBB", content)
        if zeros != 0 or type_code not in ELEMENT_TYPES:
            raise Damage(f"an IDX file does not begin with the bytes {content.hex()}")
        if not 1 <= rank <= MAXIMUM_RANK:
            raise Damage(f"its header gives {rank} dimensions, not 1 to {MAXIMUM_RANK}")
        content += stream.read(4 * rank)
        shape = struct.unpack_from(f">{rank}I", content, 4)
    except struct.error:
        raise Damage("it ends inside its header") from None
    dtype = np.dtype(ELEMENT_TYPES[type_code])
    if 0 in shape:
        raise Damage(f"it is empty: {promise(shape, dtype)}")
    if len(content) + math.prod(shape) * dtype.itemsize > capacity:
        raise Damage(f"{promise(shape, dtype)}, more than a file of this size can hold")
    return content, shape, dtype


def _mapped(file: BinaryIO) -> NDArray[Any]:
    """The array in a plain file, from where the file stands to its end."""
    capacity = os.fstat(file.fileno()).st_size - file.tell()
    content, shape, dtype = _read_header(file, capacity)
    if len(content) + math.prod(shape) * dtype.itemsize < capacity:
        raise Damage(f"{promise(shape, dtype)}, but more follows")
    return map_array(file, shape, dtype, file.tell())


def _content(stream: BinaryIO, capacity: int) -> Iterator[bytes]:
    """The whole file in parts, header and elements."""
    content, shape, dtype = _read_header(stream, capacity)
    yield content
    size = left = math.prod(shape) * dtype.itemsize
    while left:
        if not (part := stream.read(min(left, CHUNK))):
            raise Damage(f"it ends after {size - left} of the {size} bytes that its header promises")
        yield part
        left -= len(part)
    if stream.read(1):  # this read is also what makes gzip compare its checksum
        raise Damage(f"{promise(shape, dtype)}, but more follows")
