"""Command lines that make no sense, places that cannot be written, and training that ends badly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_helpers import Dltrain
from wrong_inputs import Refused, config


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (
            "fit",
            2,
            "missing CONFIG: give a YAML file, or --resume RUN: dltrain fit; see `dltrain fit --help`",
        ),
        (
            "fit seed=1",
            2,
            "missing CONFIG before seed=1: give a YAML file, or --resume RUN: dltrain fit; ...",
        ),
        ("fit c.yaml c.yaml", 2, "an override without '=': override 'c.yaml'; write key=value, ..."),
        (
            "fit c.yaml --resume mlp-1",
            2,
            "a resumed run takes CONFIG from its own directory: leave it out: ...; ...",
        ),
        ("fit --resume mlp-1 --name x", 2, "--resume goes on in the run's own directory: leave out ...; ..."),
        (
            "fit --resume mlp-1 --run-dir x",
            2,
            "--resume goes on in the run's own directory: leave out ...; ...",
        ),
        ("fit --resume mlp-1 sed=1", 2, "unknown key 'sed': override 'sed=1'; did you mean 'seed'? (...)"),
        ("fit c.yaml --progres none", 2, "no such option: --progres: dltrain fit; did you mean --progress?"),
        (
            "fit c.yaml --progress loud",
            2,
            "invalid value for '--progress': 'loud' is not one of ...: ...; see ...",
        ),
        (
            "fit c.yaml --kernels cuda",
            2,
            "invalid value for '--kernels': 'cuda' is not one of ...: ...; see ...",
        ),
        (
            "eval mlp-1 --threads 0",
            2,
            "invalid value for '--threads': 0 is not in the range 1<=x<=32768: ...; see ...",
        ),
        (
            "fit c.yaml --name a/b",
            2,
            "bad name for a run: override 'name=\"a/b\"': it is 'a/b'; use 1 to 100 ...",
        ),
        ("eval", 2, "missing argument 'RUN': dltrain eval; see `dltrain eval --help`"),
        ("eval mlp-1 --split val", 2, "invalid value for '--split': 'val' is not one of ...: ...; see ..."),
        (
            "predict mlp-1 --input a.npy",
            2,
            "missing option '--output': dltrain predict; see `dltrain predict --help`",
        ),
        ("train c.yaml", 2, "no such command: train; see `dltrain --help`"),
        (
            "fit c.yaml --require accuracy>=0.5",
            2,
            "not a requirement: --require 'accuracy>=0.5'; write SPLIT_...",
        ),
        (
            "fit c.yaml --require test_accuracy=0.5",
            2,
            "not a requirement: ...; write SPLIT_METRIC>=NUMBER, ...",
        ),
        (
            "fit c.yaml --require test_accuracy>=98%",
            2,
            "'98%' is not a number: --require ...; write SPLIT_...",
        ),
        (
            "fit c.yaml --require test_accuracy>=nan",
            2,
            "'nan' is not a number: --require ...; write SPLIT_...",
        ),
        (
            "fit c.yaml --require test_acuracy>=0.5",
            2,
            "the run has no metric 'acuracy': --require ...; did you mean 'accuracy'? (known: ...)",
        ),
        (
            "fit c.yaml dataset.validation_size=0 --require validation_loss<=1",
            2,
            "the run has no split 'validation': --require 'validation_loss<=1'; known: train, test",
        ),
        (
            "fit c.yaml --run-dir c.yaml/run",
            7,
            "cannot create run directory: c.yaml/run: Not a directory; choose ...",
        ),
        (
            "fit c.yaml --run-dir " + 300 * "x",
            7,
            "cannot create run directory: xxx...: File name too long; ...",
        ),
        (
            "fit c.yaml --run-dir /proc/run",
            7,
            "cannot create run directory: /proc/run: No such file ...; check ...",
        ),
    ],
)
@pytest.mark.usefixtures("two_runs")
def test_a_wrong_command_line(refused: Refused, words: str, code: int, expected: str) -> None:
    refused(code, expected, *words.split(), leaves="runs/mlp-1/lock")


def test_a_requirement_not_met(dltrain_here: Dltrain) -> None:
    result = dltrain_here("fit", "c.yaml", "--run-dir", "run", "--require", "test_accuracy>=1.01")
    assert result.code == 6
    last = result.err.splitlines()[-1]
    assert last.startswith(
        "dltrain: error: requirement not met: test_accuracy>=1.01: test accuracy of the best"
    )
    assert json.loads(Path("run/run.json").read_text())["exit_code"] == 6


@pytest.mark.parametrize(("rate", "where"), [("1e6", "the loss: it rose"), ("1e25", "c.yaml:")])
def test_training_that_diverges(rate: str, where: str, dltrain_here: Dltrain, refused: Refused) -> None:
    Path("c.yaml").write_text(
        config("model: {name: mlp, hidden: [8, 8, 8, 8]}", f"optimizer: {{name: sgd, learning_rate: {rate}}}")
    )
    expected = (
        f"training diverged at step ... (epoch ...): {where}...; lower optimizer.learning_rate, set ..."
    )
    refused(4, expected, "fit", "c.yaml", "--run-dir", "run", "--progress", "none", leaves="run")
    record = json.loads(Path("run/run.json").read_text())
    assert (record["status"], record["exit_code"]) == ("diverged", 4)
