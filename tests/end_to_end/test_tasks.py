"""Every kind of target from the config to the file of predictions, learnt where it can be learnt exactly."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_helpers import Dltrain, dltrain_in

RNG = np.random.default_rng(3)
X = RNG.normal(size=(600, 4)).astype(np.float32)
WEIGHTS = RNG.normal(size=(4, 3))
LINEAR = X @ WEIGHTS
TASKS = {
    # target: what is stored, cost, metrics, the figure that is reached, head of the .csv
    "numbers": (LINEAR + 2, "mse", "[mse, mae, r2]", "test_r2>0.999", ["value_0", "value_1", "value_2"]),
    "multi_label": (
        (LINEAR > 0).astype(int),
        "binary_cross_entropy",
        "[f1, roc_auc, accuracy]",
        "test_f1>0.95",
        ["probability_0", "probability_1", "probability_2"],
    ),
    "label": (
        LINEAR.argmax(1),
        "cross_entropy",
        "[f1, {name: f1, average: micro}, roc_auc, perplexity, {name: top_k_accuracy, k: 2}]",
        "test_top_2_accuracy>0.95",
        ["class", "probability_0", "probability_1", "probability_2"],
    ),
    "positions": (
        (LINEAR > 0).astype(int),
        "cross_entropy",
        "[accuracy, confusion_matrix]",
        "test_accuracy>0.95",
        [],
    ),
}


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    monkeypatch.chdir(tmp_path)
    return dltrain_in(capsys)


def write(
    target: str,
    cost: str,
    figures: str,
    stored: Any,
    x: Any = X,
    model: str = "{name: mlp, hidden: []}",
    **train: Any,
) -> None:
    np.savez("data.npz", x_train=x, y_train=stored, x_test=x[:100], y_test=stored[:100])
    Path("c.yaml").write_text(f"""
dataset: {{name: npz, path: data.npz, target: {target}}}
model: {model}
cost: {cost}
metrics: {figures}
optimizer: {{name: adam, learning_rate: 0.05}}
train: {json.dumps({"epochs": 20, "batch_size": 50, **train})}
""")


@pytest.mark.parametrize("target", TASKS)
def test_a_task_is_learnt_evaluated_and_predicted(dltrain: Dltrain, target: str) -> None:
    stored, cost, metrics, reached, head = TASKS[target]
    write(target, cost, metrics, stored)
    result = dltrain("fit", "c.yaml", "--run-dir", "run", "--quiet", "--require", reached)
    assert result.code == 0, result.err
    figures = json.loads(dltrain("eval", "run", "--json").out)
    assert figures["split"] == "test"
    np.save("in.npy", X[:7])
    assert dltrain("predict", "run", "--input", "in.npy", "--output", "out.npy").code == 0
    outputs = np.load("out.npy")
    assert outputs.shape == (7, 3, 2) if target == "positions" else (7, 3)
    result = dltrain("predict", "run", "--input", "in.npy", "--output", "out.csv")
    assert result.code == (0 if head else 2)
    if head:
        first, *rows = csv.reader(Path("out.csv").read_text().splitlines())
        assert first == head
        np.testing.assert_allclose(np.array(rows, float)[:, -3:], outputs, rtol=1e-6)
        assert dltrain("predict", "run", "--input", "in.npy", "--output", "out.json").code == 0
        objects = json.loads(Path("out.json").read_text())
        numbers = [next(value for value in each.values() if isinstance(value, list)) for each in objects]
        np.testing.assert_allclose(numbers, outputs, rtol=1e-6)
        assert ["class" in each for each in objects] == [target == "label"] * 7


def test_layers_are_applied_at_each_position(dltrain: Dltrain) -> None:
    series = RNG.normal(size=(300, 5, 4)).astype(np.float32)
    classes = (series @ WEIGHTS).argmax(-1)
    layers = "[{name: dense, units: 16, activation: relu}, {name: dense, units: 3}]"
    model = f"{{name: sequential, layers: {layers}}}"
    write("positions", "cross_entropy", "[accuracy]", classes, series, model)
    result = dltrain("fit", "c.yaml", "--run-dir", "run", "--quiet", "--require", "test_accuracy>0.95")
    assert result.code == 0, result.err
    np.save("in.npy", series[:7])
    assert dltrain("predict", "run", "--input", "in.npy", "--output", "out.npy").code == 0
    outputs = np.load("out.npy")
    assert outputs.shape == (7, 5, 3)
    assert (outputs.argmax(-1) == classes[:7]).mean() > 0.9


def test_the_best_checkpoint_is_the_one_of_the_highest_f1(dltrain: Dltrain) -> None:
    """Its name says nothing of which way is better."""
    write("multi_label", "binary_cross_entropy", "[f1]", (LINEAR > 0).astype(int), keep_best={"metric": "f1"})
    result = dltrain("fit", "c.yaml", "--run-dir", "run")
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    figures = {line["step"]: line["values"]["f1"] for line in lines if line["split"] == "validation"}
    summary = json.loads(Path("run/summary.json").read_text())
    assert figures[summary["best_step"]] == max(figures.values())
    assert f"test f1 {100 * summary['test']['f1']:.2f} %  loss" in result.out


def test_metrics_of_the_training_split_on_demand(dltrain: Dltrain) -> None:
    write("label", "cross_entropy", "[accuracy, confusion_matrix]", LINEAR.argmax(1), metrics=True, epochs=2)
    result = dltrain("fit", "c.yaml", "--run-dir", "run")
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    values = [line["values"] for line in lines if line["split"] == "train"]
    assert [set(each) for each in values] == [{"loss", "accuracy"}] * 2
    assert f"train accuracy {100 * values[0]['accuracy']:.2f} %" in result.err
    assert "train_accuracy" in Path("run/metrics.csv").read_text().splitlines()[0]
    evaluated = json.loads(dltrain("eval", "run", "--checkpoint", "last", "--split", "train", "--json").out)
    assert evaluated["accuracy"] == values[-1]["accuracy"]
    assert dltrain("verify", "run").code == 0
    result = dltrain("fit", "--resume", "run", "train.metrics=false")
    assert "train.metrics may not change when a run is resumed" in result.err


def test_a_figure_that_is_nan_is_written_as_json_has_it(dltrain: Dltrain) -> None:
    ones = np.ones((600, 3), int)  # nothing is negative: there is no ROC curve
    write("multi_label", "binary_cross_entropy", "[roc_auc]", ones, keep_best={"metric": "roc_auc"}, epochs=2)
    assert dltrain("fit", "c.yaml", "--run-dir", "run").code == 0

    def refuse(text: str) -> None:
        raise ValueError(f"{text} is not JSON")

    for text in (dltrain("eval", "run", "--json").out, Path("run/summary.json").read_text()):
        assert "nan" in str(json.loads(text, parse_constant=refuse))
    assert dltrain("fit", "--resume", "run", "train.epochs=3").code == 0
