"""A decompressed file that is kept: used when right, made again when not, done without when impossible."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dltrain.datasets import read_idx
from dltrain.errors import DataError

Write = Callable[..., Path]
ARRAY = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)


@pytest.fixture
def source(write_idx: Write) -> Path:
    return write_idx("images.gz", ARRAY)


@pytest.fixture
def decompressed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by what is decompressed."""
    taken: list[int] = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda *a: taken.append(len(b := read(*a))) or b)
    return taken


def kept(source: Path) -> Path:
    (path,) = (source.parent / ".cache").iterdir()
    return path


def check(source: Path, array: np.ndarray = ARRAY) -> None:
    np.testing.assert_array_equal(read_idx(source, keep_decompressed=True), array)


def test_decompressed_once_and_then_mapped(source: Path, decompressed: list[int]) -> None:
    check(source)
    assert sum(decompressed) == 16 + ARRAY.nbytes
    decompressed.clear()
    array = read_idx(source, keep_decompressed=True)
    assert decompressed == []
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, ARRAY)
    assert kept(source).name == "images.gz.decompressed"


def test_only_on_request(source: Path) -> None:
    np.testing.assert_array_equal(read_idx(source), ARRAY)
    assert os.listdir(source.parent) == [source.name]


def test_every_damaged_byte_is_noticed_and_repaired(source: Path) -> None:
    check(source)
    right = kept(source).read_bytes()
    for position in range(len(right)):
        damaged = bytearray(right)
        damaged[position] ^= 1 << position % 8
        kept(source).write_bytes(damaged)
        check(source)
        assert kept(source).read_bytes() == right


@pytest.mark.parametrize("change", [lambda c: b"", lambda c: c[:20], lambda c: c[:-1], lambda c: c + b"\0"])
def test_a_file_of_another_length_is_repaired(source: Path, change: Callable[[bytes], bytes]) -> None:
    check(source)
    right = kept(source).read_bytes()
    kept(source).write_bytes(change(right))
    check(source)
    assert kept(source).read_bytes() == right


def test_an_array_in_use_keeps_its_values_when_the_file_is_made_again(source: Path, write_idx: Write) -> None:
    before = read_idx(source, keep_decompressed=True)
    write_idx(source.name, ARRAY + 1)
    check(source, ARRAY + 1)
    np.testing.assert_array_equal(before, ARRAY)


def test_a_source_that_changed_is_noticed(source: Path, write_idx: Write) -> None:
    check(source)
    status = source.stat()
    # As good as unchanged: same size, same time of change.
    other = ARRAY.copy()
    other[0, 0, :2] = other[0, 0, 1::-1]
    write_idx(source.name, other)
    assert source.stat().st_size == status.st_size
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    check(source, other)


def test_a_source_that_was_damaged_is_not_hidden(source: Path) -> None:
    check(source)
    content = bytearray(source.read_bytes())
    content[-20] ^= 1
    source.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        read_idx(source, keep_decompressed=True)


DAMAGED = {
    "truncated": lambda content: content[:-12],
    "bad checksum": lambda content: content[:-8] + b"abcd" + content[-4:],
    "no gzip header": lambda content: content[:2] + b"\7" + content[3:],
    "more content": lambda content: gzip.compress(gzip.decompress(content) + b"!"),
    "less content": lambda content: gzip.compress(gzip.decompress(content)[:-1]),
    "no IDX": lambda content: gzip.compress(b"no IDX at all"),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_source_leaves_nothing(source: Path, damage: Callable[[bytes], bytes]) -> None:
    source.write_bytes(damage(source.read_bytes()))
    with pytest.raises(DataError) as expected:
        read_idx(source)
    with pytest.raises(DataError) as raised:
        read_idx(source, keep_decompressed=True)
    assert raised.value.lines == expected.value.lines
    assert os.listdir(source.parent) == [source.name]


def test_a_folder_that_cannot_be_written_is_no_error(source: Path) -> None:
    (source.parent / ".cache").write_text("in the way of a folder")
    check(source)


@pytest.mark.parametrize("failing", ["mkdir", "replace"])
def test_what_the_system_refuses_is_no_error(
    source: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(f"dltrain.datasets.decompressed.os.{failing}", refuse)
        check(source)
    assert os.listdir(source.parent) == [source.name]


def test_processes_at_once(source: Path) -> None:
    program = (
        "import sys, pathlib; from dltrain.datasets import read_idx; sys.stdin.read()\n"
        "for _ in range(30):\n"
        "    array = read_idx(sys.argv[1], keep_decompressed=True)\n"
        "    assert array.ravel().tolist() == list(range(60))\n"
        "    for path in pathlib.Path(sys.argv[1]).parent.glob('.cache/*.decompressed'):\n"
        "        path.unlink(missing_ok=True)\n"
    )
    command = [sys.executable, "-c", program, str(source)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in processes:
        process.stdin.close()  # type: ignore[union-attr]
    errors = [process.stderr.read() for process in processes]  # type: ignore[union-attr]
    assert [process.wait() for process in processes] == [0, 0, 0], errors
    for process in processes:
        process.stderr.close()  # type: ignore[union-attr]
    check(source)
    assert len(list((source.parent / ".cache").iterdir())) == 1


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_replaced(source: Path, make: Callable[[Path], None]) -> None:
    check(source)
    right = kept(source).read_bytes()
    kept(source).unlink()
    make(source.parent / ".cache" / "images.gz.decompressed")
    check(source)
    assert kept(source).read_bytes() == right
    assert not kept(source).is_symlink()


@pytest.mark.parametrize("year", [-10_000, 1969, 9998])
def test_a_source_changed_at_any_time(
    source: Path, monkeypatch: pytest.MonkeyPatch, decompressed: list[int], year: int
) -> None:
    stat = os.stat

    def with_time(path: Any, **keywords: Any) -> Any:
        real = stat(path, **keywords)
        if not isinstance(path, int):  # not of an open file
            return real
        changed = (year - 1970) * 31_556_952 * 10**9 + 1
        return SimpleNamespace(st_size=real.st_size, st_mtime_ns=changed)

    for times in range(2):
        with monkeypatch.context() as patch:
            patch.setattr("dltrain.datasets.decompressed.os.stat", with_time)
            array = read_idx(source, keep_decompressed=True)
        np.testing.assert_array_equal(array, ARRAY)
        assert sum(decompressed) == 16 + ARRAY.nbytes, times


def test_killed_processes_leave_nothing_for_long(source: Path) -> None:
    program = (
        "import os, sys; from dltrain.datasets import read_idx\n"
        "os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "read_idx(sys.argv[1], keep_decompressed=True)\n"
    )
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", program, str(source)], check=False).returncode == -9
        assert len(list((source.parent / ".cache").iterdir())) == 1  # the one before is removed
    check(source)
    assert kept(source).name == "images.gz.decompressed"
