"""Extreme but right inputs train without NaN and without a warning (pytest makes warnings errors)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_helpers import Dltrain, autoencoder_config, busy_config
from wrong_inputs import config

import dltrain as dl

LABELS = np.array([0, 1, 2])
PICTURES = np.arange(48, dtype=np.uint8).reshape(3, 4, 4) * 5


def save(train: Any, test: Any = None, labels: Any = LABELS, test_labels: Any = None) -> None:
    """`data.npz`; the test split is the training split if it is not given."""
    test = train if test is None else test
    test_labels = labels if test_labels is None else test_labels
    np.savez("data.npz", x_train=train, y_train=labels, x_test=test, y_test=test_labels)


def finite_figures(run: str = "run") -> dict[str, Any]:
    """The figures of `summary.json` on the test split, after looking for others in the run's metrics."""

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} in a file of the run")

    for line in Path(run, "metrics.jsonl").read_text().splitlines():
        values = json.loads(line, parse_constant=refuse)["values"]
        assert all(isinstance(value, int | float) for value in values.values()), line
    summary = json.loads(Path(run, "summary.json").read_text(), parse_constant=refuse)
    test: dict[str, Any] = summary["test"]
    return test


def trained(
    dltrain: Dltrain, *overrides: str, text: str = "", kernels: str = "numpy", warning: str = ""
) -> dict[str, Any]:
    """Trains `c.yaml`, evaluates and applies the run, and returns its figures on test, all of it finite.

    Arguments:
        warning: how the only line that `fit` prints begins; empty where it prints none.
    """

    def run(*words: str, warning: str = "") -> None:
        result = dltrain(*words, "--kernels", kernels)
        assert (result.code, result.err.count("\n")) == (0, int(bool(warning))), result.err
        assert result.err.startswith(warning and f"dltrain: warning: {warning}"), result.err

    if text:
        Path("c.yaml").write_text(text)
    run("fit", "c.yaml", "--run-dir", "run", "--progress", "none", *overrides, warning=warning)
    figures = finite_figures()
    np.save("in.npy", np.load("data.npz")["x_test"])
    run("eval", "run", "--json", warning=warning if warning.startswith("no example") else "")
    run("predict", "run", "--input", "in.npy", "--output", "out.npy")
    assert np.isfinite(np.load("out.npy")).all()
    return figures


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_logits_of_1e8_and_probabilities_of_0(dltrain_here: Dltrain, smoothing: float, kernels: str) -> None:
    huge = "{name: random_normal, standard_deviation: 1e8}"
    text = config(
        f"model: {{name: softmax_regression, kernel_initializer: {huge}}}",
        f"cost: {{name: cross_entropy, label_smoothing: {smoothing}}}",
        "optimizer: {name: sgd, learning_rate: 1e-3}",
    )
    assert trained(dltrain_here, text=text, kernels=kernels)["loss"] > 1e6
    assert np.load("out.npy").min() == 0


@pytest.mark.parametrize("written", ["fused", "by hand"])
def test_log_of_0_under_a_label_of_0(written: str) -> None:
    """-sum_k t_k log(softmax(x)_k) is x's distance to its greatest where t is 1; its gradient is p - t."""
    logits = np.array([[1e8, -1e8, 0], [-1e8, 1e8, 1e8], [1e8, -1e8, -1e8]], np.float32)
    labels = np.array([[1, 0, 0], [1, 0, 0], [0, 0.5, 0.5]], np.float32)
    probabilities = np.array([[1, 0, 0], [0, 0.5, 0.5], [1, 0, 0]], np.float32)
    with dl.Graph():
        x = dl.placeholder("float32", ("batch", 3))
        t = dl.placeholder("float32", ("batch", 3))
        if written == "fused":
            cost = dl.softmax_cross_entropy(x, t)
        else:
            cost = -dl.sum(t * dl.log(dl.softmax(x)), axis=-1)
        (gradient,) = dl.gradients(dl.sum(cost), [x])
        with dl.Session() as session:
            costs, slopes = session.run([cost, gradient], {x: logits, t: labels})
    np.testing.assert_allclose(costs, [0, 2e8, 2e8], rtol=1e-6, atol=0)
    np.testing.assert_allclose(slopes, probabilities - labels, atol=1e-7)


@pytest.mark.parametrize("cost", ["binary_cross_entropy", "mse", "mae", "huber"])
def test_an_autoencoder_whose_logits_are_1e8(dltrain_here: Dltrain, cost: str) -> None:
    """Four linear layers, each of which makes numbers some hundred times larger."""
    text = autoencoder_config(Path("data.npz")).replace("cost: mse", f"cost: {cost}")
    start = "activation: linear, kernel_initializer: {name: random_normal, standard_deviation: 100}"
    figures = trained(dltrain_here, text=text.replace("[8, 3]", f"[8, 3], {start}"))
    assert figures["loss"] > (1e6 if cost == "binary_cross_entropy" else 0.01)


@pytest.mark.parametrize(
    "function", ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"]
)
def test_activations_of_huge_sums(dltrain_here: Dltrain, function: str) -> None:
    model = f"model: {{name: mlp, hidden: [8], activation: {function}, kernel_initializer: %s}}"
    trained(dltrain_here, text=config(model % "{name: random_normal, standard_deviation: 1e8}"))


@pytest.mark.parametrize("text", ["busy", "mlp"])
@pytest.mark.parametrize("batch_size", [1, 13, 39, 41])
def test_batches_of_one_and_smaller_last_ones(dltrain_here: Dltrain, batch_size: int, text: str) -> None:
    """40 examples: 40 of 1; 3 of 13 and 1 of 1; 1 of 39 and 1 of 1; all at once."""
    text = busy_config(Path("data.npz")) if text == "busy" else config()
    words = (f"train.batch_size={batch_size}", "train.evaluation_batch_size=11")
    warning = "batch larger than the training split: " if batch_size == 41 else ""
    trained(dltrain_here, *words, text=text, warning=warning)


def test_no_hidden_layer(dltrain_here: Dltrain) -> None:
    """... is softmax regression, number for number."""
    start = "kernel_initializer: zeros"
    mlp = trained(dltrain_here, text=config(f"model: {{name: mlp, hidden: [], {start}}}"))
    Path("c.yaml").write_text(config(f"model: {{name: softmax_regression, {start}}}"))
    assert dltrain_here("fit", "c.yaml", "--run-dir", "other", "--quiet", "--kernels", "numpy").code == 0
    assert mlp == finite_figures("other")


NORMALIZED = "{name: sequential, layers: [flatten, {name: dense, units: 4}, %s, {name: dense, units: 3}]}"
MODELS = {
    "mlp": "{name: mlp, hidden: [8]}",
    "batch_norm": NORMALIZED % "batch_norm",
    "layer_norm": NORMALIZED % "layer_norm",
    "norms of the input": "{name: sequential, layers: [flatten, layer_norm, batch_norm, "
    "{name: dense, units: 3}]}",
}
SMALL = "train: {epochs: 2, batch_size: 3}"  # as many as there are examples
OPTIMIZERS = ["sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", "adadelta", "lion"]


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("value", [0, 255])
def test_the_same_picture_again_and_again(
    dltrain_here: Dltrain, model: str, batch_size: int, value: int
) -> None:
    """All-zero (or all-one) images: variances of 0, and with 0 gradients of 0 for the first kernel."""
    save(np.full((3, 4, 4), value, np.uint8))
    text = config("dataset: {name: npz, path: data.npz, validation_size: 0}", f"model: {MODELS[model]}")
    trained(dltrain_here, f"train.batch_size={batch_size}", text=text)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_gradients_that_are_all_0(dltrain_here: Dltrain, optimizer: str) -> None:
    """Black pictures through tied weights without a bias that moves: nothing to divide by but epsilon."""
    save(np.zeros((3, 4, 4), np.uint8))
    text = config(
        "dataset: {name: npz, path: data.npz, validation_size: 0, target: input}",
        "model: {name: autoencoder, encoder: [2], output_activation: relu}",
        "cost: mse",
        f"optimizer: {{name: {optimizer}, clip_norm: 1, clip_value: 1}}",
        SMALL,
    )
    assert trained(dltrain_here, text=text)["mse"] == 0


@pytest.mark.parametrize("model", ["mlp", "batch_norm", "layer_norm"])
def test_one_example(dltrain_here: Dltrain, model: str) -> None:
    save(PICTURES[:1], labels=np.array([2]))
    text = config("dataset: {name: npz, path: data.npz}", f"model: {MODELS[model]}")
    trained(dltrain_here, "train.batch_size=1", text=text, warning="no example of some classes: ")


def test_one_class(dltrain_here: Dltrain) -> None:
    """The softmax of one logit is 1: no cost, no gradient, and every answer is right."""
    save(PICTURES, labels=np.zeros(3, int))
    text = config("dataset: {name: npz, path: data.npz, validation_size: 1}")
    assert trained(dltrain_here, "train.batch_size=2", text=text) == {"loss": 0.0, "accuracy": 1.0}


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_dtypes_of_inputs(dltrain_here: Dltrain, dtype: str, order: Any) -> None:
    """The same numbers in any type, with their scale, give the same figures."""
    save(np.asarray(PICTURES, dtype, order=order))
    line = f"dataset: {{name: npz, path: data.npz, validation_size: 0, scale: {1 / 256}}}"
    figures = trained(dltrain_here, text=config(line, SMALL))
    save(PICTURES)
    assert dltrain_here("fit", "c.yaml", "--run-dir", "bytes", "--quiet", "--kernels", "numpy").code == 0
    assert figures == finite_figures("bytes")


@pytest.mark.parametrize("size", [1e-38, 1e15])
def test_inputs_of_any_size_in_float32(dltrain_here: Dltrain, size: float) -> None:
    save(PICTURES * np.float64(size) / 255)
    trained(dltrain_here, text=config("dataset: {name: npz, path: data.npz, validation_size: 0}", SMALL))


@pytest.mark.parametrize("schedule", ["constant", "step", "exponential", "cosine", "one_cycle"])
@pytest.mark.parametrize("warmup", [0, 1, 0.5, 100])
def test_schedules_of_a_single_step(dltrain_here: Dltrain, schedule: str, warmup: float) -> None:
    text = config(
        f"optimizer: {{name: adam, schedule: {{name: {schedule}, warmup: {warmup}}}}}",
        "train: {steps: 1, batch_size: 16}",
    )
    trained(dltrain_here, text=text)
