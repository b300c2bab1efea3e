"""Whole processes: what a shell sees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from run_helpers import softmax_config, write_data

COMMAND = [sys.executable, "-W", "error", "-m", "dltrain"]


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *words], cwd=folder, text=True, stdout=pipe, stderr=pipe)


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    process = start(folder, *words)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_fit_eval_predict(tmp_path: Path) -> None:
    """Without a warning from any library."""
    (tmp_path / "c.yaml").write_text(softmax_config(write_data(tmp_path)))
    code, out, err = run(tmp_path, "fit", "c.yaml")
    assert code == 0, err
    path = out.splitlines()[-1]
    code, out, err = run(tmp_path, "eval", path, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["step"] == json.loads((tmp_path / path / "summary.json").read_text())["best_step"]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 138)]
)
def test_a_signal_while_training(tmp_path: Path, number: signal.Signals, code: int) -> None:
    (tmp_path / "c.yaml").write_text(softmax_config(write_data(tmp_path), epochs=10**6))
    process = start(tmp_path, "fit", "c.yaml", "--run-dir", "run")
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first.startswith("epoch 1/1000000"), first
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    last = err.splitlines()[-1]
    assert last.startswith(f"dltrain: error: stopped by {number.name} after step ")
    assert last.endswith("; to go on: dltrain fit --resume run")
    step = int(last.split("after step ")[1].split(";")[0])
    epochs = step // 6 + 1
    code, _, err = run(tmp_path, "fit", "--resume", "run", f"train.epochs={epochs}")
    assert code == 0, err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["step"] == 6 * epochs
    # The same as if it had never been stopped.
    code, _, err = run(tmp_path, "fit", "c.yaml", "--run-dir", "whole", f"train.epochs={epochs}")
    assert code == 0, err
    for name in ("metrics.jsonl", "summary.json"):
        assert (tmp_path / "run" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_two_runs_into_one_directory(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(softmax_config(write_data(tmp_path)))
    processes = [start(tmp_path, "fit", "c.yaml", "--run-dir", "run") for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 5], errors
    assert run(tmp_path, "eval", "run")[0] == 0
