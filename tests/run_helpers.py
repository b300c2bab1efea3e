"""A tiny data set and configs of runs on it, for tests of training and of the commands; and running these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from dltrain.cli.main import main
from dltrain.config import parse, parse_document
from dltrain.training.run_config import RunConfig

CLASSES = 3
SHAPE = (4, 4)


def write_data(folder: Path, train: int = 50, test: int = 23) -> Path:
    """`data.npz`: bytes around one picture a class, easy to tell apart but not without errors."""
    generator = np.random.Generator(np.random.Philox(key=7))
    centers = generator.integers(60, 200, (CLASSES, *SHAPE))
    arrays: dict[str, Any] = {}
    for part, count in (("train", train), ("test", test)):
        labels = generator.integers(0, CLASSES, count)
        noise = generator.normal(0, 45, (count, *SHAPE))
        arrays[f"x_{part}"] = np.clip(centers[labels] + noise, 0, 255).astype(np.uint8)
        arrays[f"y_{part}"] = labels
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def softmax_config(data: Path, **train: Any) -> str:
    """YAML of softmax regression by gradient descent, 3 epochs of 40 examples, 7 a step."""
    settings = {"epochs": 3, "batch_size": 7, "evaluation_batch_size": 4} | train
    return f"""
dataset: {{name: npz, path: "{data}", validation_size: 10}}
model: softmax_regression
cost: cross_entropy
optimizer: {{name: sgd, learning_rate: 0.5}}
train: {{{", ".join(f"{key}: {value}" for key, value in settings.items())}}}
"""


def busy_config(data: Path, **train: Any) -> str:
    """YAML of a model in which everything has a state of its own: dropout, batch_norm, Adam, a schedule."""
    settings = {"epochs": 2, "batch_size": 9, "log_every": 2} | train
    return f"""
seed: 3
dataset: {{name: npz, path: "{data}", validation_size: 10}}
model:
  name: sequential
  layers:
    - flatten
    - {{name: dense, units: 8}}
    - batch_norm
    - {{name: activation, function: relu}}
    - {{name: dropout, rate: 0.3}}
    - {{name: dense, units: {CLASSES}}}
cost: {{name: cross_entropy, l2: 0.01}}
optimizer: {{name: adam, learning_rate: 0.01, schedule: one_cycle}}
train: {{{", ".join(f"{key}: {value}" for key, value in settings.items())}}}
"""


def autoencoder_config(data: Path, **train: Any) -> str:
    settings = {"epochs": 2, "batch_size": 9} | train
    return f"""
dataset: {{name: npz, path: "{data}", validation_size: 10, target: input}}
model: {{name: autoencoder, encoder: [8, 3]}}
cost: mse
optimizer: adam
train: {{{", ".join(f"{key}: {value}" for key, value in settings.items())}}}
"""


def parsed(text: str) -> RunConfig:
    return parse(RunConfig, parse_document(text, "config.yaml"))


class Outcome(NamedTuple):
    """What a command line left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Dltrain = Callable[..., Outcome]


def dltrain_in(capsys: pytest.CaptureFixture[str]) -> Dltrain:
    """A function that runs a command line in this process, without ever a traceback."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err, printed.err
        return Outcome(code, printed.out, printed.err)

    return run
