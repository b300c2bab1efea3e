"""`dl.fit` and `dl.load_run`: what the commands do, in Python."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from run_helpers import Dltrain, busy_config, dltrain_in, softmax_config, write_data

import dltrain as dl


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(softmax_config(write_data(tmp_path)))
    return dltrain_in(capsys)


def test_a_fit_is_the_commands(dltrain: Dltrain, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text(busy_config(Path.cwd() / "data.npz"))
    assert (
        dltrain("fit", "c.yaml", "optimizer.learning_rate=1e-5", "train.epochs=3", "--run-dir", "a").code == 0
    )
    run = dl.fit("c.yaml", {"optimizer.learning_rate": 1e-5, "train.epochs": np.int64(3)}, run_dir="b")
    assert capsys.readouterr() == ("", "")
    for name in ("config.yaml", "metrics.jsonl", "summary.json"):
        assert Path("a", name).read_text() == Path("b", name).read_text()
    record = json.loads(Path("b/run.json").read_text())
    assert (record["status"], record["exit_code"]) == ("completed", 0)
    assert record["overrides"] == ["optimizer.learning_rate=1e-05", "train.epochs=3"]
    assert run.config.optimizer.learning_rate == 1e-5
    assert repr(run) == "Run('b', sequential, step 15)"
    with pytest.raises(dl.errors.RunError, match=r"in use|not empty"):
        dl.fit("c.yaml", run_dir="b")


def test_a_run_is_opened_with_its_figures_values_and_model(dltrain: Dltrain) -> None:
    fitted = dl.fit("c.yaml", {"dataset.validation_size": 10})
    run = dl.load_run()
    assert run.directory.path == fitted.directory.path
    rows = list(csv.DictReader((run.directory.path / "metrics.csv").read_text().splitlines()))
    for split, figure in (("train", "loss"), ("validation", "loss"), ("validation", "accuracy")):
        expected = [float(row[f"{split}_{figure}"]) for row in rows]
        np.testing.assert_array_equal(run.metrics[split][figure], expected)
    np.testing.assert_array_equal(run.metrics["validation"]["epoch"], [1, 2, 3])
    np.testing.assert_array_equal(run.metrics["validation"]["step"], [6, 12, 18])
    assert json.loads(dltrain("eval", "latest", "--json").out) == {
        "split": "test",
        "step": run.state.step,
        **run.evaluate("test"),
    }
    images, labels = run.data.splits["test"].arrays()
    kernel, bias = (
        run.variables["softmax_regression/dense/kernel"],
        run.variables["softmax_regression/dense/bias"],
    )
    logits = images.reshape(len(images), -1).astype(np.float64) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = run.predict(images)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-6)
    accuracy = np.mean(probabilities.argmax(axis=1) == labels)
    np.testing.assert_allclose(run.evaluate("test")["accuracy"], accuracy)
    for name, value in run.variables.items():
        np.testing.assert_array_equal(value, fitted.variables[name])
    last = dl.load_run(run.directory.path, "last", kernels="numpy")
    assert (last.state.step, last.session.kernels) == (18, "numpy")


def test_a_fitted_run_tells_the_step_of_its_values(dltrain: Dltrain) -> None:
    worst_is_best = {"train.keep_best.metric": "loss", "train.keep_best.mode": "max"}
    run = dl.fit("c.yaml", {"dataset.validation_size": 10, **worst_is_best}, run_dir="r")
    assert dl.load_run("r", "last").state.step == 18
    assert repr(run) == repr(dl.load_run("r")) == "Run('r', softmax_regression, step 12)"


@pytest.mark.parametrize(
    ("key", "value"),
    [("optimizer.learning_rate", -1), ("optimizr", 3), ("train.keep_best.metric", "f1"), ("a..b", 1)],
)
def test_an_override_is_refused_as_on_the_command_line(dltrain: Dltrain, key: str, value: object) -> None:
    with pytest.raises(dl.errors.ConfigError) as raised:
        dl.fit("c.yaml", {key: value})
    assert f"dltrain: error: {raised.value}\n" == dltrain("fit", "c.yaml", f"{key}={json.dumps(value)}").err
    assert not Path("runs").exists()


def test_errors_have_line_and_column(dltrain: Dltrain) -> None:
    Path("c.yaml").write_text(softmax_config(Path("data.npz")) + "name: [3]\n")
    with pytest.raises(dl.errors.ConfigError, match=r"name must be text: c.yaml:7:7: it is a list of 1 item"):
        dl.fit("c.yaml")
    Path("c.yaml").write_text(softmax_config(Path("data.npz")).replace("cross_entropy", "{name: huber}"))
    with pytest.raises(dl.errors.ConfigError, match=r"c.yaml:4:\d+ \(cost\)"):
        dl.fit("c.yaml")


def test_a_fit_that_diverges_says_where_and_is_noted(dltrain: Dltrain) -> None:
    overrides = {"optimizer.learning_rate": 1e30, "model": {"name": "mlp", "hidden": [4]}}
    with pytest.raises(dl.errors.DivergedError, match="dltrain replay b"):
        dl.fit("c.yaml", overrides, run_dir="b")
    assert json.loads(Path("b/run.json").read_text())["status"] == "diverged"


def test_there_is_no_such_run(dltrain: Dltrain) -> None:
    with pytest.raises(dl.errors.RunError, match="no run"):
        dl.load_run("latest")


def test_a_run_that_is_not_in_training_says_so(dltrain: Dltrain) -> None:
    from dltrain.runs.run import Run

    fitted = dl.fit("c.yaml", run_dir="r")
    for run in (fitted, dl.load_run("r")):
        with pytest.raises(dl.errors.UsageError, match=r"the run is not in training: Run\('r'"):
            next(run.records())
        with pytest.raises(dl.errors.UsageError, match="the run is not in training"), run:
            pass
    with pytest.raises(dl.errors.UsageError, match="the run has no directory"):
        _ = Run(fitted.config).metrics


def test_any_number_of_examples_of_the_right_form_is_predicted(dltrain: Dltrain) -> None:
    run = dl.fit("c.yaml", run_dir="r")
    images, _ = run.data.splits["test"].arrays()
    np.testing.assert_array_equal(run.predict(images[0]), run.predict(images[:1]))
    np.testing.assert_array_equal(run.predict(images[:1].tolist()), run.predict(images[:1]))
    assert run.predict(images[:0]).shape == (0, 3)
    for wrong in ([[1]], [[[1.0]]], 3, "a", images.astype(int)):
        with pytest.raises(dl.errors.DataError, match=r"inputs do not fit the model: Run.*: they are "):
            run.predict(wrong)
