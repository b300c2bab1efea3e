"""One writer a run; the lock goes with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dltrain.errors import RunError, StorageError
from dltrain.runs.lock import RunLock


def test_a_second_lock_is_refused_and_names_the_process(tmp_path: Path) -> None:
    first = RunLock(tmp_path / "lock")
    with pytest.raises(RunError, match=f"run is in use: .*: locked by process {os.getpid()};"):
        RunLock(tmp_path / "lock")
    first.release()
    first.release()
    RunLock(tmp_path / "lock").release()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib; from dltrain.runs.lock import RunLock\n"
        "lock = RunLock(pathlib.Path(sys.argv[1])); print('locked', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(RunError, match=f"locked by process {process.pid};"):
            RunLock(tmp_path / "lock")
        process.send_signal(signal.SIGKILL)
        process.wait()
    RunLock(tmp_path / "lock").release()


def test_a_lock_file_from_elsewhere_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"99999999999999999999999 not a process id")
    RunLock(tmp_path / "lock").release()
    assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_a_missing_folder_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot lock run"):
        RunLock(tmp_path / "missing" / "lock")
