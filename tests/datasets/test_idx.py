"""The IDX reader: what the specification describes is read, all else is one error that says what is wrong."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import mmap
import os
import random
import resource
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dltrain.datasets import read_idx
from dltrain.errors import DataError

Write = Callable[..., Path]
MNIST = Path(__file__).parents[2] / "data/mnist"


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("name", ["a.idx", "a.idx.gz"])
@pytest.mark.parametrize("shape", [(1,), (5,), (3, 4), (2, 3, 4), (1, 1, 1, 7)])
def test_every_type_and_rank_is_read(write_idx: Write, dtype: str, name: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).uniform(-100, 100, shape).astype("f8").clip(0).astype(dtype)
    read = read_idx(write_idx(name, array))
    assert read.dtype == np.dtype(dtype).newbyteorder(">")
    np.testing.assert_array_equal(read, array)


def test_compression_is_told_by_content_and_not_by_the_name(write_idx: Write, tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.uint8)
    compressed = write_idx("a.gz", array).rename(tmp_path / "a.idx")
    plain = write_idx("b.idx", array).rename(tmp_path / "b.gz")
    np.testing.assert_array_equal(read_idx(compressed), array)
    np.testing.assert_array_equal(read_idx(plain), array)


def test_the_real_labels_have_the_published_checksum() -> None:
    labels = read_idx(MNIST / "t10k-labels-idx1-ubyte.gz")
    content = struct.pack(">HBBI", 0, 8, 1, 10000) + labels.tobytes()
    published = "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    assert hashlib.sha256(content).hexdigest() == published


HEADER = struct.pack(">HBBII", 0, 8, 2, 3, 4)
GOOD = HEADER + bytes(12)
GOOD_GZIP = gzip.compress(GOOD)
DAMAGED = {
    "nothing in it": (b"", "ends inside its header"),
    "cut in the header": (GOOD[:7], "ends inside its header"),
    "wrong magic": (b"\x89PNG" + GOOD, "does not begin"),
    "unknown type": (b"\0\0\x0a\1" + GOOD[4:], "does not begin"),
    "no dimension": (b"\0\0\x08\0", "0 dimensions"),
    "too many dimensions": (b"\0\0\x08\xff" + bytes([0, 0, 0, 1]) * 255 + b"\0", "255 dimensions"),
    "a dimension of 0": (struct.pack(">HBBII", 0, 8, 2, 3, 0), "empty"),
    "truncated": (GOOD[:-1], "3 x 4 of uint8, 12 bytes, more than a file of this size can hold"),
    "bytes left over": (GOOD + b"!", "12 bytes, but more follows"),
    "a header that promises exabytes": (struct.pack(">HBBIII", 0, 14, 3, *[2**32 - 1] * 3), "633825299"),
    "gzip: truncated": (GOOD_GZIP[:-12], "ends too early"),
    "gzip: without its checksum": (GOOD_GZIP[:-8], "ends too early"),
    "gzip: bad checksum": (GOOD_GZIP[:-8] + b"abcd" + GOOD_GZIP[-4:], "CRC"),
    "gzip: bad size": (GOOD_GZIP[:-4] + b"abcd", "damaged"),
    "gzip: bad method": (GOOD_GZIP[:2] + b"\7" + GOOD_GZIP[3:], "damaged"),
    "gzip: rubbish after it": (GOOD_GZIP + b"rubbish", "damaged"),
    "gzip: less content than promised": (gzip.compress(GOOD[:-1]), "ends after 11 of the 12 bytes"),
    "gzip: more content than promised": (gzip.compress(GOOD + b"!"), "more follows"),
    "gzip: a header that promises gigabytes": (
        gzip.compress(struct.pack(">HBBII", 0, 8, 2, 2**16, 2**16)),
        "more than a file of this size can hold",
    ),
}


@pytest.mark.parametrize(("content", "fact"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_one_line_with_file_and_fact(tmp_path: Path, content: bytes, fact: str) -> None:
    path = tmp_path / "images.idx"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_idx(path)
    (line,) = raised.value.lines
    assert "\n" not in line
    assert str(path) in line
    assert fact in line
    assert raised.value.exit_code == 3


def test_a_lying_header_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "liar"
    path.write_bytes(struct.pack(">HBBII", 0, 8, 2, 2**20, 2**14) + bytes(100))  # 16 GiB
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, hard))
    try:
        with pytest.raises(DataError, match="more than a file"):
            read_idx(path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_a_bomb_is_not_decompressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(GOOD + bytes(50_000_000)))
    taken = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda *a: taken.append(len(b := read(*a))) or b)
    with pytest.raises(DataError, match="more follows"):
        read_idx(path)
    assert sum(taken) == len(GOOD) + 1


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"no such file: {tmp_path}/none"):
        read_idx(tmp_path / "none")
    with pytest.raises(DataError, match=f"not a file: {tmp_path}"):
        read_idx(tmp_path)


def test_random_damage_is_never_anything_but_a_data_error(tmp_path: Path) -> None:
    chance = random.Random(0)
    path = tmp_path / "file"
    for source in (GOOD, GOOD_GZIP):
        for _ in range(500):
            content = bytearray(source)
            for _ in range(chance.randint(1, 4)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            path.write_bytes(content[: chance.randint(1, len(content))])
            with contextlib.suppress(DataError):
                read_idx(path)


@pytest.mark.parametrize("name", ["a.idx", "a.gz"])
def test_it_is_read_where_the_system_does_not_map_it(
    write_idx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    array = np.arange(60, dtype=np.int16).reshape(5, 3, 4)
    monkeypatch.setattr(mmap, "mmap", refuse)
    found = read_idx(write_idx(name, array), keep_decompressed=True)
    np.testing.assert_array_equal(found, array)
    assert not found.flags.writeable


def test_pipes_and_devices_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer for ever
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("pipe", "zeros"):
        with pytest.raises(DataError, match="not a file"):
            read_idx(tmp_path / name)
