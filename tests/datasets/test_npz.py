"""The `.npz` reader agrees with NumPy, and refuses what it cannot trust."""

from __future__ import annotations

import contextlib
import io
import random
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dltrain.datasets import read_npz_array
from dltrain.errors import DataError


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["u1", "i8", ">i4", "f2", "f4", ">f8"])
def test_agrees_with_numpy(tmp_path: Path, save: Any, dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, 100, (5, 3, 2)).astype(dtype)
    save(tmp_path / "a.npz", x=array, fortran=np.asfortranarray(array), line=array[:, 0, 0])
    with np.load(tmp_path / "a.npz") as truth:
        for name in ("x", "fortran", "line"):
            read = read_npz_array(tmp_path / "a.npz", name)
            np.testing.assert_array_equal(read, truth[name])
            assert read.dtype == truth[name].dtype
            assert read.flags.c_contiguous


def npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def zipped(content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("x.npy", content)
    return buffer.getvalue()


GOOD = npy(np.arange(12, dtype=np.uint8).reshape(3, 4))
DAMAGED = {
    "no zip": (b"no zip at all", "not a zip file"),
    "cut": (zipped(GOOD)[:-30], "not a zip file"),
    "no npy": (zipped(b"no npy at all"), "magic"),
    "nothing in it": (zipped(b""), "magic"),
    "objects": (zipped(npy(np.array([[1], None], dtype=object))), "not of numbers"),
    "text": (zipped(npy(np.array(["a", "b"]))), "not of numbers"),
    "bad checksum": (zipped(GOOD).replace(bytes(range(12)), bytes(12), 1), "CRC"),
    "truncated": (zipped(GOOD[:-1]), "3 x 4 of uint8, 12 bytes, but it cannot hold that"),
    "bytes left over": (zipped(GOOD + b"!"), "cannot hold that"),
    "a header that promises terabytes": (
        zipped(GOOD.replace(b"(3, 4), }" + b" " * 22, b"(3000000000000, 4000000000000)}")),
        "12000000000000000000000000 bytes",
    ),
    "a negative size": (zipped(GOOD.replace(b"(3, 4), } ", b"(-3, -4),}")), "-3 x -4"),
    "a header that is no Python": (zipped(GOOD.replace(b"(3, 4), }", b"(3, 4),,(")), "damaged"),
    "a header without an end": (zipped(GOOD.replace(b"(3, 4), }", b"(3, 4), (")), "damaged"),
    "a single number": (zipped(npy(np.float32(3))), "a single number"),
    "no examples": (zipped(npy(np.zeros((0, 4)))), "0 x 4"),
    "another compression": (zipped(GOOD, zipfile.ZIP_BZIP2), "compressed in a way"),
}


@pytest.mark.parametrize(("content", "fact"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_one_line_with_file_and_fact(tmp_path: Path, content: bytes, fact: str) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_npz_array(path, "x")
    (line,) = raised.value.lines
    assert str(path) in line
    assert fact in line


def test_an_entry_that_lies_about_its_own_size_is_refused(tmp_path: Path) -> None:
    """The zip directory promises as much as the array's header does, and far more than the file has."""
    array = GOOD.replace(b"(3, 4), }" + b" " * 10, b"(30000, 100000), }" + b" ")
    assert len(array) == len(GOOD)
    content = bytearray(zipped(array))
    size = content.index(b"PK\1\2") + 24  # of the size before compression, in the directory's entry
    content[size : size + 4] = (len(GOOD) - 12 + 30000 * 100000).to_bytes(4, "little")
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="3000000000 bytes, but it cannot hold that"):
        read_npz_array(path, "x")


@pytest.mark.parametrize("size", [10, 5_000, 3 * 2**20])
def test_a_bad_checksum_of_compressed_content(tmp_path: Path, size: int) -> None:
    array = npy(np.zeros(size, np.uint8))
    content = zipped(array, zipfile.ZIP_DEFLATED)
    checksum = zlib.crc32(array).to_bytes(4, "little")
    assert content.count(checksum) == 2  # before the entry and in the directory
    path = tmp_path / "data.npz"
    path.write_bytes(content.replace(checksum, b"abcd"))
    with pytest.raises(DataError, match="CRC"):
        read_npz_array(path, "x")


def test_a_missing_array_is_named_with_those_there_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros(3), labels=np.zeros(3))
    with pytest.raises(DataError, match=r"no array x_train: .*a\.npz: it holds images, labels"):
        read_npz_array(tmp_path / "a.npz", "x_train")
    with pytest.raises(DataError, match=r"no such file: .*b\.npz"):
        read_npz_array(tmp_path / "b.npz", "x_train")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_random_damage_is_never_anything_but_a_data_error(tmp_path: Path, method: int) -> None:
    chance = random.Random(0)
    path = tmp_path / "file"
    source = zipped(GOOD, method)
    for _ in range(500):
        content = bytearray(source)
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(content)
        with contextlib.suppress(DataError):
            read_npz_array(path, "x")
