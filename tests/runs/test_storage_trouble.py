"""Trouble of input and output in mid-run: exit 7, the path named, nothing lost, no temporary file left."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_helpers import Dltrain, dltrain_in, softmax_config, write_data

from dltrain.runs.checkpoints import CheckpointStore
from dltrain.training.trainer import Trainer

FOLDERS = {"before": "run", "after": "elsewhere"}


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(softmax_config(write_data(tmp_path), log_every=1))
    return dltrain_in(capsys)


def before_step(patch: pytest.MonkeyPatch, number: int, action: Callable[[], object]) -> None:
    step = Trainer._step

    def act_and_step(self: Trainer, *arguments: Any) -> Any:
        if self.state.step + 1 == number:
            action()
        return step(self, *arguments)

    patch.setattr(Trainer, "_step", act_and_step)


def failing(patch: pytest.MonkeyPatch, call: str, code: int, concerns: Callable[..., bool]) -> None:
    original = getattr(os, call)

    def fail(*arguments: Any, **keywords: Any) -> Any:
        if concerns(*arguments):
            raise OSError(code, os.strerror(code))
        return original(*arguments, **keywords)

    patch.setattr(os, call, fail)


def temporary_files() -> list[Path]:
    return [path for path in Path().rglob(".*") if path.suffix == ".tmp"]


def creates(_: object, flags: int, *__: object) -> bool:
    return bool(flags & os.O_CREAT)


def is_large(_: int, data: bytes) -> bool:
    return len(data) > 150  # no line of metrics, no pointer


TROUBLE = {
    "disk full": ("write", errno.ENOSPC, lambda *_: True, False),
    "disk full for more than a line": ("write", errno.ENOSPC, is_large, False),
    "read-only": ("open", errno.EROFS, creates, False),
    "no permission": ("open", errno.EACCES, creates, False),
    "input and output error": ("fsync", errno.EIO, lambda *_: True, False),
    "no renaming": ("rename", errno.EIO, lambda *_: True, True),
}


@pytest.mark.parametrize("name", list(TROUBLE))
def test_trouble_in_mid_run(dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    call, code, concerns, writable = TROUBLE[name]
    assert dltrain("fit", "c.yaml", "--run-dir", "whole").code == 0
    with monkeypatch.context() as patch:
        before_step(patch, 8, lambda: failing(patch, call, code, concerns))
        result = dltrain("fit", "c.yaml", "--run-dir", "run")
    assert (result.code, result.out) == (7, "")
    last = result.err.splitlines()[-1]
    assert last.startswith("dltrain: error: cannot ")
    assert ": run/" in last
    assert os.strerror(code) in last
    assert not temporary_files()
    record = json.loads(Path("run/run.json").read_text())
    assert record["status"] == ("failed" if writable else "running")
    assert record["exit_code"] == (7 if writable else None)
    assert CheckpointStore(Path("run/checkpoints")).load("last").step >= 6
    assert dltrain("fit", "--resume", "run").code == 0
    for file in ("metrics.jsonl", "summary.json"):
        assert Path("run", file).read_text() == Path("whole", file).read_text()


def test_a_full_disk_is_noted_where_there_is_space_again(
    dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint does not fit on the disk, run.json does."""
    with monkeypatch.context() as patch:
        saving = lambda descriptor, _: "step-" in os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: E731
        before_step(patch, 8, lambda: failing(patch, "write", errno.ENOSPC, saving))
        result = dltrain("fit", "c.yaml", "--run-dir", "run")
    assert result.code == 7
    assert result.err.splitlines()[-1] == (
        "dltrain: error: cannot save checkpoint: run/checkpoints/step-00000012: No space left on device; "
        "free space on this disk"
    )
    record = json.loads(Path("run/run.json").read_text())
    assert (record["status"], record["exit_code"]) == ("failed", 7)
    assert not temporary_files()


@pytest.mark.parametrize("log_every", ["1", "null"])
@pytest.mark.parametrize("step", [1, 6, 8, 18])
def test_the_folder_is_removed(
    dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch, log_every: str, step: int
) -> None:
    with monkeypatch.context() as patch:
        before_step(patch, step, lambda: shutil.rmtree("run"))
        result = dltrain("fit", "c.yaml", "--run-dir", "run", f"train.log_every={log_every}")
    assert (result.code, result.out) == (7, "")
    assert ": run/" in result.err.splitlines()[-1]
    assert not Path("run").exists()


def test_the_folder_is_renamed(dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        before_step(patch, 8, lambda: Path("run").rename("moved"))
        result = dltrain("fit", "c.yaml", "--run-dir", "run")
    assert result.code == 7
    assert not Path("run").exists()
    assert not temporary_files()
    assert dltrain("fit", "--resume", "moved").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs ulimit")
@pytest.mark.parametrize("blocks", [0, 1, 2, 4])
def test_a_real_limit_of_file_sizes(dltrain: Dltrain, blocks: int) -> None:
    limited = f'ulimit -f {blocks}; exec "$@"'
    words = [sys.executable, "-m", "dltrain", "fit", "c.yaml", "--run-dir", "run", "--kernels", "numpy"]
    done = subprocess.run(["sh", "-c", limited, "sh", *words], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (7, "")
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert not temporary_files()
    if blocks == 4 and Path("run/checkpoints/last").exists():
        assert dltrain("fit", "--resume", "run").code == 0


@pytest.mark.parametrize("words", [["c.yaml", "--run-dir", "run"], ["--resume", "run", "train.epochs=4"]])
def test_a_run_whose_files_cannot_be_opened_has_failed(
    dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    if "--resume" in words:
        assert dltrain("fit", "c.yaml", "--run-dir", "run").code == 0
    with monkeypatch.context() as patch:
        events = lambda path, *_: "tfevents" in os.fspath(path)  # noqa: E731
        failing(patch, "open", errno.EACCES, events)
        result = dltrain("fit", *words)
    assert (result.code, result.out) == (7, "")
    record = json.loads(Path("run/run.json").read_text())
    assert (record["status"], record["exit_code"]) == ("failed", 7)
    assert record["ended"] is not None
    assert dltrain("fit", "--resume", "run").code == 0
