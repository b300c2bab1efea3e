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
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from dltrain.datasets.dataset import Dataset, Stored
from dltrain.datasets.reading import (
    MAXIMUM_DEFLATE_RATIO,
    Damage,
    ReadableInto,
    fill,
    open_content,
    require_file,
)
from dltrain.errors import ConfigError, DataError, StorageError

ELEMENT_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAXIMUM_RANK = 8


class Idx(Dataset, name="idx"):
    """A data set in four IDX files; the labels' two are not needed when the target is the input."""

    train_images: Path = Field(
        description="IDX file of the training inputs, one an entry of its first dimension"
    )
    train_labels: Path | None = Field(None, description="IDX file of the training labels")
    test_images: Path = Field(description="IDX file of the test inputs")
    test_labels: Path | None = Field(None, description="IDX file of the test labels")

    @model_validator(mode="after")
    def _labels_are_given(self) -> Self:
        for key in ("train_labels", "test_labels"):
            if self.target == "label" and getattr(self, key) is None:
                raise ConfigError(f"{key} is missing", where=key, fix="name the file, or set 'target: input'")
        return self

    def read(self) -> tuple[Stored, Stored]:
        return (
            read_part(self.train_images, self.train_labels if self.target == "label" else None),
            read_part(self.test_images, self.test_labels if self.target == "label" else None),
        )


def read_part(images: Path, labels: Path | None) -> Stored:
    """The examples in one file of inputs and one of labels."""
    return Stored(
        inputs=read_idx(images),
        labels=read_idx(labels) if labels else None,
        inputs_source=str(images),
        labels_source=str(labels),
    )


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array in the IDX file at `path`, in the machine's byte order.

    The header is believed only as far as the file's size allows, before anything is allocated; at most one
    byte more than the header promises is ever decompressed.

    Raises:
        DataError: the file is missing, is not IDX, is truncated, has bytes left over or fails its checksum.
        StorageError: the file cannot be read.
    """
    place = os.fspath(path)
    require_file(path)
    try:
        with open(path, "rb") as file:
            stream, compressed = open_content(file)
            capacity = os.path.getsize(path) * (MAXIMUM_DEFLATE_RATIO if compressed else 1)
            return _read_array(stream, capacity)
    except Damage as damage:
        reason = str(damage)
    except EOFError:
        reason = "the compressed data ends too early"
    except (gzip.BadGzipFile, zlib.error) as error:
        reason = f"the compressed data is damaged ({error})"
    except OSError as error:
        raise StorageError("cannot read the file", where=place, why=error.strerror or str(error)) from error
    raise DataError("damaged IDX file", where=place, why=reason, fix="get the file again")


def _read_array(stream: BinaryIO, capacity: int) -> NDArray[Any]:
    zeros, type_code, rank = struct.unpack(">HBB", _read_header(stream, 4))
    if zeros != 0 or type_code not in ELEMENT_TYPES:
        raise Damage(f"an IDX file does not begin with the bytes {zeros:04x}{type_code:02x}{rank:02x}")
    if not 1 <= rank <= MAXIMUM_RANK:
        raise Damage(f"its header gives {rank} dimensions, not 1 to {MAXIMUM_RANK}")
    dimensions = struct.unpack(f">{rank}I", _read_header(stream, 4 * rank))
    dtype = np.dtype(ELEMENT_TYPES[type_code])
    size = math.prod(dimensions) * dtype.itemsize
    promise = f"{' x '.join(map(str, dimensions))} of {dtype.name}, {size} bytes"
    if size == 0:
        raise Damage(f"it is empty: its header promises {promise}")
    if 4 + 4 * rank + size > capacity:
        raise Damage(f"its header promises {promise}, more than a file of this size can hold")
    array = np.empty(dimensions, dtype)
    fill(array, cast(ReadableInto, stream))
    if stream.read(1):  # this read is also what makes gzip compare its checksum
        raise Damage(f"its header promises {promise}, but more follows")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise Damage("it ends inside its header")
    return content
