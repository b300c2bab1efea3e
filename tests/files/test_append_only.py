"""A file that only grows keeps whole pieces and can be cut back."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dltrain.errors import StorageError
from dltrain.files.append_only import AppendOnlyFile


def test_pieces_are_appended_across_openings(tmp_path: Path) -> None:
    first = AppendOnlyFile(tmp_path / "a", new=True)
    first.append(b"one\n")
    first.close()
    first.close()
    second = AppendOnlyFile(tmp_path / "a", new=False)
    assert second.size == 4
    second.append(b"two\n")
    second.sync()
    second.close()
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\n"


def test_it_is_cut_back_and_continued(tmp_path: Path) -> None:
    file = AppendOnlyFile(tmp_path / "a", new=True)
    file.append(b"one\ntwo\n")
    assert [file.byte_before(position) for position in (0, 3, 4, 9)] == [b"", b"e", b"\n", b""]
    file.truncate_to(4)
    file.append(b"three\n")
    with pytest.raises(ValueError, match="a file of 10 bytes is not cut back to 11"):
        file.truncate_to(11)
    file.close()
    assert (tmp_path / "a").read_bytes() == b"one\nthree\n"


def test_new_does_not_overwrite_and_open_does_not_create(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"kept")
    with pytest.raises(StorageError, match="cannot create"):
        AppendOnlyFile(tmp_path / "a", new=True)
    with pytest.raises(StorageError, match="cannot open"):
        AppendOnlyFile(tmp_path / "b", new=False)
    assert os.listdir(tmp_path) == ["a"]


def test_a_piece_that_does_not_fit_leaves_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = AppendOnlyFile(tmp_path / "a", new=True)
    file.append(b"whole\n")
    original = os.write
    free = [3]

    def write(descriptor: int, data: memoryview) -> int:
        if not free[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = original(descriptor, data[: free[0]])
        free[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(StorageError, match="No space left on device; free space"):
            file.append(b"too long\n")
    assert (tmp_path / "a").read_bytes() == b"whole\n"
    file.append(b"again\n")
    file.close()
    assert (tmp_path / "a").read_bytes() == b"whole\nagain\n"


def test_only_a_plain_file_is_continued(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"whole")
    (tmp_path / "link").symlink_to("elsewhere")
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for its other end for ever
    for name in ("link", "pipe", "."):
        with pytest.raises(StorageError, match="not a plain file"):
            AppendOnlyFile(tmp_path / name, new=False)
    assert (tmp_path / "elsewhere").read_bytes() == b"whole"


def test_a_removed_file_is_noticed(tmp_path: Path) -> None:
    file = AppendOnlyFile(tmp_path / "a", new=True)
    (tmp_path / "a").unlink()
    with pytest.raises(StorageError, match="the file was removed"):
        file.append(b"lost\n")
    file.close()
