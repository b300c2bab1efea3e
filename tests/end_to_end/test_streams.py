"""Standard streams that are closed, or full: what was trained is kept, and run.json tells what happened."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from run_helpers import softmax_config, write_data


def shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Runs `command` in a shell that knows dltrain as `$DLTRAIN`."""
    dltrain = f"{shlex.quote(sys.executable)} -W error -m dltrain"
    command = command.replace("$DLTRAIN", dltrain)
    return subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.yaml").write_text(softmax_config(write_data(tmp_path), epochs=1))
    return tmp_path


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed(folder: Path, closed: str) -> None:
    open_ = shell(folder, "$DLTRAIN fit c.yaml --run-dir open --kernels numpy")
    done = shell(folder, f"$DLTRAIN fit c.yaml --run-dir run --kernels numpy {closed}")
    assert done.returncode == 0, done.stderr
    if " >&-" not in f" {closed}":
        assert done.stdout == open_.stdout.replace("open\\n", "run\\n").replace("open", "run")
    if "2>&-" not in closed:
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("epoch 1/1")
    assert json.loads((folder / "run" / "run.json").read_text())["status"] == "completed"
    assert (folder / "run/metrics.jsonl").read_text() == (folder / "open/metrics.jsonl").read_text()
    again = shell(folder, f"$DLTRAIN eval run {closed}")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("words", ["--help", "--version", "fit --help", "validate c.yaml", "nothing", ""])
def test_closed_where_nothing_is_written_to_disk(folder: Path, words: str) -> None:
    code = shell(folder, f"$DLTRAIN {words}").returncode
    assert shell(folder, f"$DLTRAIN {words} <&- >&- 2>&-").returncode == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("to", "requirement", "code"),
    [
        (">/dev/full", "", 7),
        ("2>/dev/full", "", 0),
        (">/dev/full 2>/dev/full", "", 7),
        ("2>/dev/full", "--require 'test_accuracy>1'", 6),
    ],
)
def test_full(folder: Path, to: str, requirement: str, code: int) -> None:
    """The exit code tells of what could not be printed, run.json of what was trained."""
    done = shell(folder, f"$DLTRAIN fit c.yaml --run-dir run --kernels numpy {requirement} {to}")
    assert done.returncode == code
    if "2>" not in to:
        assert done.stderr.splitlines()[1:] == [
            "dltrain: error: cannot read or write: No space left on device"
        ]
    record = json.loads((folder / "run" / "run.json").read_text())
    assert (record["status"], record["exit_code"]) == ("completed", 6 if requirement else 0)
    assert "test" in json.loads((folder / "run" / "summary.json").read_text())
