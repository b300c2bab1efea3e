"""Words that nobody means: every command answers with a line and an exit code, never with a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from run_helpers import Dltrain, dltrain_in, softmax_config, write_data

PATHS = ["", "nope", "dir", "/", "/dev/null", "/dev/full", "loop", "bin.yaml", "a\0b", "\udcff", "x" * 300]
PATHS += ["x/" * 3000, "~nobody/x", "c.yaml/x", "--", "=", "a=b", "\n", "/proc/self/mem", "-1"]
OVERRIDES = ["", "=", "a", "=a", "seed=", "seed=1e99", "seed=" + "9" * 5000, "seed=" + "[" * 5000, "seed=\0"]
OVERRIDES += ["seed=!!python/object:x {}", "seed=\udcff", "train..epochs=1", "model.layers.0=1", "*a=1"]
OVERRIDES += ["train.epochs=1e400", "train.batch_size=" + "9" * 25, "optimizer.learning_rate=1e999"]
OVERRIDES += ["model={name: mlp, hidden: [99999999999999]}", "dataset.path=/dev/null", "dataset.path=dir"]
NUMBERS = ["", "0", "-1", "1.5", "9" * 20, "9" * 5000, "nan", "\udcff"]

COMMANDS = [
    *([name, path] for name in ("fit", "validate", "plan", "eval", "verify", "replay") for path in PATHS),
    *([name, "c.yaml", word] for name in ("fit", "validate", "plan") for word in OVERRIDES),
    *(["fit", "--resume", path] for path in PATHS),
    *(["fit", "c.yaml", "--run-dir", path] for path in ("/dev/null", "loop", "x/" * 3000, "a\0b", "c.yaml")),
    *(["fit", "c.yaml", "--name", path] for path in ("", "../x", "a/b", "\n", "\udcff", "x" * 300)),
    *(["eval", "run", "--checkpoint", path] for path in PATHS),
    *(
        ["predict", "run", "--output", "o.csv", "--input", path + end]
        for path in PATHS
        for end in ("", ".npy")
    ),
    *(["predict", "run", "--input", "in.npy", "--output", path] for path in PATHS),
    *(["eval", "run", "--threads", number] for number in NUMBERS),
    *(
        ["fit", "c.yaml", "--require", f"test_accuracy>={number}"]
        for number in NUMBERS
        if number not in "0-1"
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "c.yaml").write_text(softmax_config(write_data(folder), epochs=1))
    (folder / "bin.yaml").write_bytes(bytes(range(256)))
    (folder / "dir").mkdir()
    os.symlink("loop", folder / "loop")
    np.save(folder / "in.npy", np.zeros((2, 4, 4), np.uint8))
    return folder


@pytest.fixture
def dltrain(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    monkeypatch.chdir(folder)
    run = dltrain_in(capsys)
    if not Path("run").exists():
        assert run("fit", "c.yaml", "--run-dir", "run", "--kernels", "numpy").code == 0
    return run


@pytest.mark.parametrize("name", sorted({words[0] for words in COMMANDS}))
def test_odd_words(name: str, dltrain: Dltrain) -> None:
    for words in COMMANDS:
        if words[0] == name:
            done = dltrain(*words)
            lines = done.err.splitlines()
            assert done.code in (2, 3, 5, 6, 7), (words, done)
            assert lines[-1].startswith("dltrain: error: "), words
            assert all(line.isprintable() for line in lines), words
