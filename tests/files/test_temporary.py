"""What killed processes left is removed; what a living one is filling is not."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dltrain.files.temporary import (
    remove_abandoned,
    remove_temporary,
    temporary_file,
    temporary_folder,
    temporary_name,
)

FILLS = """
import pathlib, sys, time
from dltrain.files import temporary
with getattr(temporary, sys.argv[1])(pathlib.Path(sys.argv[2], "a")) as path:
    (path / "part" if path.is_dir() else path).write_bytes(b"half")
    print(flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["temporary_file", "temporary_folder"])
def test_what_a_killed_process_left_goes_and_a_living_ones_stays(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-c", FILLS, kind, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        remove_abandoned(tmp_path)
        assert len(os.listdir(tmp_path)) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(os.listdir(tmp_path)) == 1
    (tmp_path / ".a.tmp").touch()  # not of this scheme
    remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == [".a.tmp"]


def test_what_is_not_renamed_is_removed(tmp_path: Path) -> None:
    with temporary_file(tmp_path / "a") as file, temporary_folder(tmp_path / "b") as folder:
        (folder / "c").touch()
        file.write_bytes(b"content")
    assert os.listdir(tmp_path) == []
    with temporary_file(tmp_path / "a") as file, temporary_folder(tmp_path / "b") as folder:
        file.rename(tmp_path / "a")
        folder.rename(tmp_path / "b")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_folder_of_the_callers_own_is_tidied_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with temporary_file(tmp_path / "a") as file:
        remove_abandoned(tmp_path)  # which cannot tell whether anybody fills it
        assert file.exists()
    temporary_name(tmp_path / "a").touch()
    temporary_name(tmp_path / "b").mkdir()
    (tmp_path / "kept").mkdir()
    temporary_name(tmp_path / "c").symlink_to("kept")
    remove_temporary(tmp_path)
    assert os.listdir(tmp_path) == ["kept"]


def test_threads_that_make_and_tidy_up_at_once_do_not_meet(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(100):
                remove_abandoned(tmp_path)
                with temporary_file(tmp_path / f"{number}") as file:
                    file.write_bytes(b"%d" % turn)
                    os.replace(file, tmp_path / f"{number}")
                with temporary_folder(tmp_path / "folder") as folder:
                    (folder / "a").touch()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {f"{k}": b"99" for k in range(4)}
