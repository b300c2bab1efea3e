"""A data set four times larger than the memory that the process may have."""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

LIMIT = 2**28  # bytes of memory that a process may allocate; mapped files do not count
SHAPE = (128, 128)
CONFIG = """
model: {name: mlp, hidden: [16]}
cost: cross_entropy
optimizer: {name: sgd, learning_rate: 0.1}
train: {epochs: 1, batch_size: 16, evaluation_batch_size: 100}
"""


def run_limited(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT)),
        capture_output=True,
        text=True,
        timeout=100,
    )


def check_trains(folder: Path, images: str) -> None:
    assert (folder / images).stat().st_size > 4 * LIMIT
    loaded = run_limited(folder, "-c", f"open({images!r}, 'rb').read()")
    assert "MemoryError" in loaded.stderr
    done = run_limited(folder, "-m", "dltrain", "fit", "c.yaml", "--fast", "--run-dir", "run")
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "run/summary.json").read_text())["step"] == 5


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.tobytes())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit counts mapped files, or nothing")
def test_idx(tmp_path: Path) -> None:
    examples = 4 * LIMIT // (SHAPE[0] * SHAPE[1])
    with open(tmp_path / "train-images", "wb") as file:
        file.write(struct.pack(">HBBIII", 0, 8, 3, examples, *SHAPE))
        file.truncate(16 + 4 * LIMIT)  # zeros that take no place on the disk
    write_idx(tmp_path / "train-labels", np.arange(examples, dtype=np.uint8) % 10)
    write_idx(tmp_path / "test-images", np.zeros((20, *SHAPE), np.uint8))
    write_idx(tmp_path / "test-labels", np.arange(20, dtype=np.uint8) % 10)
    (tmp_path / "c.yaml").write_text(
        "dataset: {name: idx, train_images: train-images, train_labels: train-labels, "
        "test_images: test-images, test_labels: test-labels}" + CONFIG
    )
    check_trains(tmp_path, "train-images")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit counts mapped files, or nothing")
def test_npz_of_float32_of_which_every_value_is_checked(tmp_path: Path) -> None:
    examples = LIMIT // (SHAPE[0] * SHAPE[1])
    np.savez(
        tmp_path / "data.npz",
        x_train=np.zeros((examples, *SHAPE), np.float32),
        y_train=np.arange(examples) % 10,
        x_test=np.zeros((20, *SHAPE), np.float32),
        y_test=np.arange(20) % 10,
    )
    (tmp_path / "c.yaml").write_text("dataset: {name: npz, path: data.npz}" + CONFIG)
    check_trains(tmp_path, "data.npz")
    (tmp_path / "data.npz").unlink()
