"""Models, data and costs that do not fit: one line that names both keys."""

from __future__ import annotations

from typing import Any

import pytest

from dltrain.autodiff import Graph, placeholder
from dltrain.costs import BinaryCrossEntropy, Cost, CrossEntropy, Huber, Mae, Mse
from dltrain.errors import ConfigError, DltrainError, GraphError
from dltrain.metrics import Accuracy, ConfusionMatrix, Metric, TopKAccuracy
from dltrain.metrics import Mse as MseMetric
from dltrain.models import Autoencoder, Mlp, Model, Sequential, SoftmaxRegression


def one_line(error: DltrainError, *parts: str) -> None:
    assert error.exit_code == 2
    assert "\n" not in str(error)
    assert len(error.lines) == 1
    for part in parts:
        assert part in str(error)


def build(model: Model, classes: int | None) -> Any:
    with Graph():
        return model.build(placeholder("float32", ("batch", 2, 3)).spec, classes, 0)


DENSE_7 = {"name": "dense", "units": 7}


@pytest.mark.parametrize(
    ("model", "classes", "parts"),
    [
        (
            SoftmaxRegression(),
            None,
            ["softmax_regression", "model, dataset.target", "set dataset.target to label"],
        ),
        (Mlp(hidden=[4]), None, ["mlp", "model, dataset.target"]),
        (
            Autoencoder(encoder=[4]),
            10,
            ["autoencoder", "model, dataset.target", "set dataset.target to input"],
        ),
        (
            Sequential(layers=["flatten", DENSE_7]),
            10,
            ["model.layers[1], dataset", "[7]", "10 classes", "end in 10 units"],
        ),
        (
            Sequential(layers=["flatten", DENSE_7]),
            None,
            ["model.layers[1], dataset.target", "[7]", "[2, 3]", "reshape to [2, 3]"],
        ),
        (
            Sequential(layers=["flatten", {"name": "dense", "units": 10, "activation": "sigmoid"}]),
            10,
            ["model.layers[1], dataset.target", "sigmoid", "end in softmax"],
        ),
    ],
)
def test_model_and_data(model: Model, classes: int | None, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        build(model, classes)
    one_line(caught.value, *parts)


@pytest.mark.parametrize(
    ("layers", "parts"),
    [
        ([DENSE_7], ["model.layers[0]", "batch, 2, 3", "flatten them first"]),
        (["flatten", {"name": "reshape", "shape": [4]}], ["model.layers[1]", "6 numbers"]),
    ],
)
def test_layers_in_a_chain(layers: list[Any], parts: list[str]) -> None:
    with pytest.raises(GraphError) as caught:
        build(Sequential(layers=layers), 7)
    one_line(caught.value, *parts)


CLASSIFIER, AUTOENCODER = Mlp(hidden=[4]), Autoencoder(encoder=[4])


@pytest.mark.parametrize(
    ("cost", "model", "parts"),
    [
        (CrossEntropy(), AUTOENCODER, ["cost cross_entropy and model", "cost, model"]),
        (BinaryCrossEntropy(), CLASSIFIER, ["binary_cross_entropy", "cost, dataset.target"]),
        (
            BinaryCrossEntropy(),
            Autoencoder(encoder=[4], output_activation="linear"),
            ["cost, model", "does not end in sigmoid"],
        ),
        (Mse(), CLASSIFIER, ["cost mse", "cost, dataset.target", "cross_entropy"]),
        (Mae(), CLASSIFIER, ["cost mae", "cost, dataset.target"]),
        (Huber(), CLASSIFIER, ["cost huber", "cost, dataset.target"]),
    ],
)
def test_cost_and_model(cost: Cost, model: Model, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        fit(cost, model)
    one_line(caught.value, *parts)


@pytest.mark.parametrize(
    ("metric", "model", "parts"),
    [
        (Accuracy(), AUTOENCODER, ["metric accuracy", "metrics, dataset.target"]),
        (ConfusionMatrix(), AUTOENCODER, ["metric confusion_matrix", "metrics, dataset.target"]),
        (MseMetric(), CLASSIFIER, ["metric mse", "metrics, dataset.target"]),
        (TopKAccuracy(k=11), CLASSIFIER, ["k is 11", "10 classes"]),
    ],
)
def test_metric_and_model(metric: Metric, model: Model, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        fit(metric, model)
    one_line(caught.value, *parts)


def fit(component: Cost | Metric, model: Model) -> None:
    """Build the cost or metric of a model on the data that fit the model."""
    with Graph():
        x = placeholder("float32", ("batch", 2, 3), "x")
        autoencoder = isinstance(model, Autoencoder)
        target = x if autoencoder else placeholder("int64", ("batch",), "label")
        forward = model.build(x.spec, None if autoencoder else 10, 0)(x, training=False)
        if isinstance(component, Cost):
            component(forward, target)
        else:
            component.build(forward, target)


@pytest.mark.parametrize(
    ("cls", "keys", "message"),
    [
        (Mlp, {"hidden": [0]}, "hidden.0 must be greater than 0"),
        (Mlp, {"hidden": [4.5]}, "hidden.0 must be an integer"),
        (Mlp, {"hidden": 4}, r"write \[4\]"),
        (Mlp, {"hidden_layer_sizes": [4]}, "write hidden instead"),
        (Mlp, {"hidden": [4], "dropout": 1.0}, "dropout must be less than 1"),
        (Autoencoder, {"encoder": []}, "encoder must be a list of at least 1 item"),
        (Sequential, {"layers": []}, "layers must be a list of at least 1 item"),
        (Sequential, {"layers": ["dens"]}, "did you mean 'dense'"),
        (Sequential, {"layers": ["BatchNorm1d"]}, "its name here is 'batch_norm'"),
    ],
)
def test_wrong_keys_are_refused(cls: type[Model], keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cls(**keys)
