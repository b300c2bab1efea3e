"""Digests tell a data file that was changed from one that was moved, copied or touched."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dltrain.datasets import FileDigest, Idx, Mnist, Npz
from dltrain.datasets.file_digest import BLOCK, BLOCKS
from dltrain.errors import DataError

Write = Callable[..., Path]
REAL_MNIST = Path(__file__).parents[2] / "data/mnist"
WHOLE = BLOCK * BLOCKS


def noise(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, WHOLE - 1, WHOLE])
def test_all_of_a_small_file_is_in_the_sample(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(noise(size))
    digest = FileDigest.of(tmp_path / "a")
    assert (digest.path, digest.size) == (str(tmp_path / "a"), size)
    assert digest.sample_sha256 == hashlib.sha256(noise(size)).hexdigest()


def test_the_sample_of_a_large_file_reaches_from_its_first_byte_to_its_last(tmp_path: Path) -> None:
    size = 10 * WHOLE + 7
    content = b"PK" + noise(size - 2)
    starts = [number * (size - BLOCK) // (BLOCKS - 1) for number in range(BLOCKS)]
    assert starts[-1] + BLOCK == size
    (tmp_path / "a").write_bytes(content)
    digest = FileDigest.of(tmp_path / "a")
    blocks = b"".join(content[start : start + BLOCK] for start in starts)
    assert digest.sample_sha256 == hashlib.sha256(blocks).hexdigest()


def test_of_a_file_without_checksums_each_byte_counts(tmp_path: Path) -> None:
    content = noise(10 * WHOLE + 7)
    (tmp_path / "a").write_bytes(content)
    assert FileDigest.of(tmp_path / "a").sample_sha256 == hashlib.sha256(content).hexdigest()


def test_time_and_place_are_no_part_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(noise(2 * WHOLE))
    (tmp_path / "b").write_bytes(noise(2 * WHOLE))
    os.utime(tmp_path / "b", (1, 1))
    one, other = FileDigest.of(tmp_path / "a"), FileDigest.of(tmp_path / "b")
    assert one != other
    assert one.same_content(other)
    with (tmp_path / "b").open("ab") as file:
        file.write(b"!")
    assert not one.same_content(FileDigest.of(tmp_path / "b"))


def test_a_change_anywhere_in_compressed_content_is_seen(tmp_path: Path) -> None:
    content = bytearray(noise(2**20))

    def digest() -> FileDigest:
        (tmp_path / "a.gz").write_bytes(gzip.compress(content, mtime=0))
        return FileDigest.of(tmp_path / "a.gz")

    before = digest()
    assert before.size > 2 * WHOLE
    for at in np.random.default_rng(0).integers(len(content), size=10):
        content[at] ^= 1
        assert not digest().same_content(before)
        content[at] ^= 1
    assert digest().same_content(before)


def test_loaded_data_name_their_files(write_idx: Write, tmp_path: Path) -> None:
    images, labels = np.zeros((20, 2, 3), np.uint8), np.arange(20, dtype=np.uint8) % 2
    files = {
        f"{part}_{what}": write_idx(f"{part}-{what}.gz", array)
        for part in ("train", "test")
        for what, array in (("images", images), ("labels", labels))
    }
    loaded = Idx(**files).load()
    assert [digest.path for digest in loaded.files] == [str(path) for path in files.values()]
    assert all(digest == FileDigest.of(digest.path) for digest in loaded.files)
    assert len(Idx(**files, target="input").load().files) == 2

    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    assert Npz(path=tmp_path / "a.npz").load().files == (FileDigest.of(tmp_path / "a.npz"),)


def test_those_of_mnist() -> None:
    files = Mnist(root=REAL_MNIST).load().files
    assert [Path(digest.path).name for digest in files] == [
        f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
    ]


def test_what_is_no_file_has_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer for ever
    for name in ("pipe", "."):
        with pytest.raises(DataError, match="not a file"):
            FileDigest.of(tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        FileDigest.of(tmp_path / "none")
