"""Data sets in one `.npz` file: a zip of arrays, as `numpy.savez` and `numpy.savez_compressed` write it."""

from __future__ import annotations

import errno
import math
import os
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray
from pydantic import Field

from dltrain.datasets.dataset import Dataset, Examples
from dltrain.datasets.file_digest import FileDigest
from dltrain.datasets.reading import (
    CHUNK,
    MAXIMUM_DEFLATE_RATIO,
    Damage,
    map_array,
    open_data_file,
    promise,
)
from dltrain.errors import DataError

# What zipfile, zlib and NumPy raise about content that they cannot take. RuntimeError is for encrypted
# entries, the last two are for the text in an array's header.
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, SyntaxError, TokenError)
HEADER_READERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}


class Npz(Dataset, name="npz"):
    """A data set in one NumPy file with the arrays x_train, y_train, x_test and y_test.

    Inputs are uint8 or floating, one an entry of the first dimension; labels are integers, other targets any
    numbers, and none are needed when the target is the input.
    """

    path: Path = Field(description="the .npz file")

    def read(self) -> tuple[Examples, Examples]:
        files = (FileDigest.of(self.path),)
        return self._read_part("train", files), self._read_part("test", files)

    def _read_part(self, part: str, files: tuple[FileDigest, ...]) -> Examples:
        inputs, targets = f"x_{part}", f"y_{part}"
        return Examples(
            inputs=read_npz_array(self.path, inputs),
            targets=_numbers(read_npz_array(self.path, targets)) if self.has_targets else None,
            inputs_source=f"{inputs} in {self.path}",
            targets_source=f"{targets} in {self.path}",
            files=files,
        )


def _numbers(targets: NDArray[Any]) -> NDArray[Any]:
    """The targets, with truths as 0 and 1."""
    return targets.view(np.uint8) if targets.dtype == np.bool_ else targets


def read_npz_array(path: str | os.PathLike[str], name: str) -> NDArray[Any]:
    """The array `name` of the `.npz` file at `path`, of numbers or truths, in the file's byte order.

    As `numpy.load`, but sizes are checked before anything is allocated, pickled objects are not known, and an
    array that is stored without compression, in C order, is memory-mapped, see `map_array`, once its checksum
    is seen to be right.

    Raises:
        DataError: the file is missing, damaged, or has no such array of numbers.
        StorageError: the file cannot be read.
    """
    place = os.fspath(path)
    with open_data_file(path) as file:
        try:
            # The warnings are about arrays that Python 2 wrote, which are as good.
            with zipfile.ZipFile(file) as archive, warnings.catch_warnings(action="ignore"):
                if f"{name}.npy" in archive.namelist():
                    return _read_entry(file, archive, archive.getinfo(f"{name}.npy"))
                held = ", ".join(member.removesuffix(".npy") for member in archive.namelist()) or "nothing"
                why, fix = f"it holds {held}", f"save one as {name}"
                raise DataError(f"no array {name}", where=place, why=why, fix=fix)
        except UNREADABLE as error:
            reason = str(error) or type(error).__name__
        except OSError as error:
            if error.errno != errno.EINVAL:  # what zipfile meets where a damaged directory points before it
                raise
            reason = "its directory is damaged"
    fix = "save it again with numpy.savez"
    raise DataError("damaged .npz file", where=place, why=f"{name}: {reason}", fix=fix)


def _read_entry(file: BinaryIO, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Damage("it is compressed in a way that numpy.savez_compressed does not use")
    stored = entry.compress_type == zipfile.ZIP_STORED
    capacity = min(entry.compress_size, os.fstat(file.fileno()).st_size)
    capacity *= 1 if stored else MAXIMUM_DEFLATE_RATIO
    with archive.open(entry) as member:
        version = npy_format.read_magic(member)
        if version not in HEADER_READERS:
            raise Damage(f"version {version} of the .npy format")
        shape, fortran_order, dtype = HEADER_READERS[version](member)
        if dtype.kind not in "uifb":
            what, fix = f"an array of {dtype}, not of numbers", "save its values as integers or floats"
            raise DataError(what, where=f"{entry.filename.removesuffix('.npy')} in {file.name}", fix=fix)
        if min(shape, default=0) <= 0:
            raise Damage(f"it is empty or no list of examples: {promise(shape, dtype)}")
        start = member.tell()
        size = start + math.prod(shape) * dtype.itemsize
        if size != entry.file_size or size > capacity:
            raise Damage(f"{promise(shape, dtype)}, but it cannot hold that")
        if stored and not fortran_order:
            while member.read(CHUNK):  # to the end, where zipfile compares the checksum
                pass
            return map_array(file, shape, dtype, _content_start(file, entry) + start)
    with archive.open(entry) as member:
        return np.ascontiguousarray(npy_format.read_array(member))


def _content_start(file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Where in the archive an entry's content begins (PKWARE, ".ZIP File Format Specification", 4.3.7)."""
    file.seek(entry.header_offset + 26)
    name_length, extra_length = struct.unpack("<HH", file.read(4))
    return int(entry.header_offset + 30 + name_length + extra_length)
