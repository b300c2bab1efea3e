"""Plain files are read within bounds; whatever else has the name is refused without waiting for it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dltrain.errors import DataError, RunError
from dltrain.files.plain import open_plain_file, read_plain_file


def test_only_plain_files_of_the_expected_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_plain_file(tmp_path / "a", at_most=5, error=RunError) == b"12345"
    with pytest.raises(RunError, match="5 bytes, at most 4"):
        read_plain_file(tmp_path / "a", at_most=4, error=RunError)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer for ever
    for name in ("link", "pipe", "."):
        with pytest.raises(RunError, match="not a plain file"):
            read_plain_file(tmp_path / name, at_most=5, error=RunError)


def test_a_sparse_file_beyond_memory_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match="file too large"):
        read_plain_file(tmp_path / "sparse", at_most=2**20, error=DataError)


def test_a_link_is_followed_on_request_but_not_to_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    os.mkfifo(tmp_path / "pipe")
    for name, target in (("good", "a"), ("waits", "pipe"), ("endless", "/dev/zero"), ("round", "round")):
        (tmp_path / name).symlink_to(target)
    with os.fdopen(open_plain_file(tmp_path / "good", error=DataError, follow_link=True), "rb") as file:
        assert file.read() == b"12345"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("waits", "endless", "round", "socket", "."):
            with pytest.raises(DataError, match="not a plain file"):
                open_plain_file(tmp_path / name, error=DataError, follow_link=True)
    with pytest.raises(FileNotFoundError):
        open_plain_file(tmp_path / "nothing", error=DataError)
