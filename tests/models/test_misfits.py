"""Models, data and costs that do not fit: one line that names both keys."""

from __future__ import annotations

from typing import Any

import pytest

from dltrain.autodiff import Graph, placeholder
from dltrain.costs import BinaryCrossEntropy, Cost, CrossEntropy, Huber, Mae, Mse
from dltrain.errors import ConfigError, DltrainError, GraphError
from dltrain.metrics import F1, Accuracy, ConfusionMatrix, Metric, TopKAccuracy
from dltrain.metrics import Mse as MseMetric
from dltrain.models import Autoencoder, Mlp, Model, Sequential, SoftmaxRegression
from dltrain.places import Key
from dltrain.task import InputTarget, LabelTarget, MultiLabelTarget, NumbersTarget, PositionsTarget, Target


def one_line(error: DltrainError, *parts: str) -> None:
    assert error.exit_code == 2
    assert "\n" not in str(error)
    assert len(error.lines) == 1
    for part in parts:
        assert part in str(error)


def build(model: Model, target: Target) -> Any:
    with Graph():
        return model.build(placeholder("float32", ("batch", 2, 3)).spec, target, 0)


DENSE_7 = {"name": "dense", "units": 7}


INPUT, LABEL = InputTarget((2, 3)), LabelTarget(10)


def dense(units: int, activation: str) -> dict[str, Any]:
    return {"name": "dense", "units": units, "activation": activation}


@pytest.mark.parametrize(
    ("model", "target", "parts"),
    [
        (
            SoftmaxRegression(),
            INPUT,
            [
                "softmax_regression",
                "model, dataset.target",
                "set dataset.target to label or positions",
                "mlp",
            ],
        ),
        (
            SoftmaxRegression(),
            NumbersTarget((4,)),
            ["a target of label or positions, but the target is numbers, [4] an example"],
        ),
        (
            Autoencoder(encoder=[4]),
            LABEL,
            ["autoencoder", "model, dataset.target", "the target is label", "set dataset.target to input"],
        ),
        (
            Sequential(layers=["flatten", DENSE_7]),
            LABEL,
            ["model.layers[1], dataset", "[7]", "one of 10 classes", "end in 10 units"],
        ),
        (
            Sequential(layers=["flatten", DENSE_7]),
            INPUT,
            ["model.layers[1], dataset.target", "[7]", "[2, 3]", "reshape to [2, 3]"],
        ),
        (
            Sequential(layers=[DENSE_7]),
            LABEL,
            ["model.layers[0], dataset", "[2, 7]", "flatten before the last layer, of 10 units"],
        ),
        (
            Sequential(layers=[DENSE_7]),
            PositionsTarget(10, (2,)),
            ["model.layers[0], dataset", "[2, 7]", "but [2, 10]", "end in 10 units"],
        ),
        (
            Sequential(layers=["flatten", dense(10, "sigmoid")]),
            LABEL,
            [
                "model.layers[1], dataset.target",
                "gives probabilities of yes or no",
                "end the model in softmax",
            ],
        ),
        (
            Sequential(layers=["flatten", dense(4, "softmax")]),
            MultiLabelTarget((4,)),
            ["model.layers[1], dataset.target", "multi_label, yes or no", "end the model in sigmoid"],
        ),
    ],
)
def test_model_and_data(model: Model, target: Target, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        build(model, target)
    one_line(caught.value, *parts)


@pytest.mark.parametrize(
    ("layers", "parts"),
    [
        (["flatten", {"name": "reshape", "shape": [4]}], ["model.layers[1]", "6 numbers"]),
    ],
)
def test_layers_in_a_chain(layers: list[Any], parts: list[str]) -> None:
    with pytest.raises(GraphError) as caught:
        build(Sequential(layers=layers), LabelTarget(7))
    one_line(caught.value, *parts)


CLASSIFIER, AUTOENCODER = Mlp(hidden=[4]), Autoencoder(encoder=[4])


@pytest.mark.parametrize(
    ("part", "model", "target", "parts"),
    [
        (CrossEntropy(), AUTOENCODER, INPUT, ["cost cross_entropy and data set", "cost, dataset.target"]),
        (
            CrossEntropy(),
            CLASSIFIER,
            NumbersTarget((3,)),
            [
                "cost cross_entropy and model",
                "cost, model",
                "needs probabilities of classes",
                "gives numbers",
            ],
        ),
        (BinaryCrossEntropy(), CLASSIFIER, LABEL, ["binary_cross_entropy", "cost, dataset.target"]),
        (
            BinaryCrossEntropy(),
            Autoencoder(encoder=[4], output_activation="linear"),
            INPUT,
            ["cost, model", "end the model in sigmoid", "or set the cost to mse, mae or huber"],
        ),
        (Mse(), CLASSIFIER, LABEL, ["cost mse", "cost, dataset.target", "or the cost to cross_entropy"]),
        (Mae(), CLASSIFIER, LABEL, ["cost mae", "cost, dataset.target"]),
        (Huber(), CLASSIFIER, LABEL, ["cost huber", "cost, dataset.target"]),
        (Accuracy(), AUTOENCODER, INPUT, ["metric accuracy", "metrics[2], dataset.target"]),
        (ConfusionMatrix(), AUTOENCODER, INPUT, ["metric confusion_matrix", "metrics[2], dataset.target"]),
        (MseMetric(), CLASSIFIER, LABEL, ["metric mse", "metrics[2], dataset.target", "accuracy"]),
        (F1(), CLASSIFIER, NumbersTarget(()), ["metric f1", "metrics[2], dataset.target"]),
    ],
)
def test_costs_and_metrics(part: Cost | Metric, model: Model, target: Target, parts: list[str]) -> None:
    prediction = build(model, target).prediction
    with pytest.raises(ConfigError) as caught:
        part.check_prediction(
            prediction, target, Key("cost") if isinstance(part, Cost) else Key("metrics", 2)
        )
    one_line(caught.value, *parts)


def test_more_classes_asked_for_than_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        TopKAccuracy(k=11).check_prediction(build(CLASSIFIER, LABEL).prediction, LABEL, Key("metrics", 1))
    one_line(caught.value, "metrics[1]", "k is 11", "10 classes")


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
