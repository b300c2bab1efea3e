"""A run that is stopped after any of its steps ends with the same bits: every optimizer, on three models."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from reliability.experiment import digest
from run_helpers import autoencoder_config, busy_config, parsed, softmax_config, write_data

from dltrain.backends.c.compiler import find_compiler
from dltrain.execution.session import Kernels
from dltrain.optimizers import Optimizer
from dltrain.runs.directory import RunDirectory
from dltrain.runs.run import Run
from dltrain.training.run_config import RunConfig

STEPS = 6  # two epochs of 3, the last of which is on fewer examples
TRAIN = {"epochs": 2, "batch_size": 16, "log_every": 1}
MODELS = {"softmax_regression": softmax_config, "mlp": busy_config, "autoencoder": autoencoder_config}

# Every optimizer of the package with its defaults, and those with all slots that options give them.
OPTIMIZERS = {
    name: f"{{name: {name}, schedule: cosine}}"
    for name, optimizer in Optimizer.registered().items()
    if optimizer.__module__.startswith("dltrain.")
}
OPTIMIZERS |= {
    "sgd with nesterov": "{name: sgd, momentum: 0.9, nesterov: true, schedule: one_cycle}",
    "rmsprop, centered, with momentum": "{name: rmsprop, centered: true, momentum: 0.9, clip_norm: 0.1}",
    "lion with weight decay": "{name: lion, weight_decay: 0.1, schedule: {name: step, decay_steps: 2}}",
}
NATIVE = ["adamw", "rmsprop, centered, with momentum"]  # the others too with -m slow: compiling takes a while


@pytest.fixture(autouse=True)
def unflushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk after a power cut is not looked at here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def configured(folder: Path, model: str, optimizer: str) -> RunConfig:
    text = MODELS[model](write_data(folder), **TRAIN)
    lines = [line for line in text.splitlines() if not line.startswith("optimizer:")]
    return parsed("\n".join([*lines, f"optimizer: {OPTIMIZERS[optimizer]}"]))


def train(what: RunConfig, path: Path, kernels: Kernels, stop_after: int = 0) -> None:
    run = Run(what, kernels=kernels)
    with RunDirectory.create(path) as directory, run.start(directory, source="seed: 0"):
        list(run.records(should_stop=lambda: run.state.step == stop_after))


def resume(what: RunConfig, path: Path, kernels: Kernels) -> None:
    directory = RunDirectory(path)
    directory.lock()
    run = Run(what, kernels=kernels)
    with directory, run.resume(directory):
        list(run.records())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stopped_after_any_step(tmp_path: Path, optimizer: str, model: str) -> None:
    what = configured(tmp_path, model, optimizer)
    train(what, tmp_path / "whole", "numpy")
    expected = digest(tmp_path / "whole")
    for step in range(1, STEPS + 1):
        path = tmp_path / f"run-{step}"
        train(what, path, "numpy", stop_after=step)
        resume(what, path, "numpy")
        assert digest(path) == expected, f"stopped after step {step}"


@pytest.mark.skipif(find_compiler() is None, reason="native kernels need a C compiler")
@pytest.mark.parametrize(
    "optimizer",
    [name if name in NATIVE else pytest.param(name, marks=pytest.mark.slow) for name in OPTIMIZERS],
)
def test_stopped_with_native_kernels(tmp_path: Path, optimizer: str) -> None:
    """After one step within an epoch, and one that ends it."""
    what = configured(tmp_path, "mlp", optimizer)
    train(what, tmp_path / "whole", "native")
    expected = digest(tmp_path / "whole")
    for step in (2, 3):
        path = tmp_path / f"run-{step}"
        train(what, path, "native", stop_after=step)
        resume(what, path, "native")
        assert digest(path) == expected, f"stopped after step {step}"


def test_stopped_after_every_step(tmp_path: Path) -> None:
    """Resumed for one step at a time."""
    what = configured(tmp_path, "mlp", "nadam")
    train(what, tmp_path / "whole", "numpy")
    train(what, tmp_path / "run", "numpy", stop_after=1)
    directory = RunDirectory(tmp_path / "run")
    directory.lock()
    with directory:
        for _ in range(STEPS):
            run = Run(what, kernels="numpy")
            with run.resume(directory):
                list(run.records(should_stop=lambda: True))
    resume(what, tmp_path / "run", "numpy")
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")
