"""Each model against plain NumPy, and what building a model promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltrain.autodiff import Graph, Tensor, placeholder
from dltrain.autodiff.spec import Array
from dltrain.execution import Session
from dltrain.models import Autoencoder, BuiltModel, Mlp, Model, Sequential, SoftmaxRegression
from dltrain.places import Key
from dltrain.task import (
    Bernoulli,
    Categorical,
    InputTarget,
    LabelTarget,
    MultiLabelTarget,
    NumbersTarget,
    Point,
    PositionsTarget,
    Prediction,
    Target,
)

RNG = np.random.default_rng(11)
X = RNG.random((4, 2, 3))
INPUT = InputTarget((2, 3))


def built(
    model: Model, target: Target = INPUT, *, training: bool = False, seed: int = 0
) -> tuple[Session, Tensor, BuiltModel, Prediction]:
    with Graph() as graph:
        x = placeholder("float64", ("batch", 2, 3), "x")
        found = model.build(x.spec, target, seed)
        prediction, _ = found(x, training=training)
    assert prediction.value.shape[1:] == target.output_shape
    return Session(graph), x, found, prediction


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def randomized(session: Session, model: BuiltModel) -> list[Array]:
    """The variables' values, after random ones were assigned."""
    for variable in model.variables:
        session.assign(variable, RNG.standard_normal(variable.shape))
    return [session.value(variable) for variable in model.variables]


def test_softmax_regression() -> None:
    session, x, model, prediction = built(SoftmaxRegression(), LabelTarget(3))
    kernel, bias = randomized(session, model)
    assert kernel.shape == (6, 3)
    logits, output = session.run([prediction.scores, prediction.value], {x: X})
    np.testing.assert_allclose(logits, X.reshape(4, 6) @ kernel + bias, rtol=1e-13)
    np.testing.assert_allclose(output, softmax(logits), rtol=1e-13)


def test_softmax_regression_starts_with_even_probabilities() -> None:
    session, x, _, prediction = built(SoftmaxRegression(), LabelTarget(4))
    np.testing.assert_array_equal(session.run(prediction.value, {x: X}), np.full((4, 4), 0.25))


def test_mlp() -> None:
    session, x, model, prediction = built(Mlp(hidden=[5, 4], activation="tanh"), LabelTarget(3))
    w1, b1, w2, b2, w3, b3 = randomized(session, model)
    logits, output = session.run([prediction.scores, prediction.value], {x: X})
    h = np.tanh(np.tanh(X.reshape(4, 6) @ w1 + b1) @ w2 + b2)
    np.testing.assert_allclose(logits, h @ w3 + b3, rtol=1e-12)
    np.testing.assert_allclose(output, softmax(logits), rtol=1e-12)


def test_mlp_without_hidden_layers_is_softmax_regression() -> None:
    _, _, model, _ = built(Mlp(hidden=[]), LabelTarget(3))
    assert [variable.shape for variable in model.variables] == [(6, 3), (3,)]


def test_mlp_drops_out_after_each_hidden_layer_in_training_only() -> None:
    names = {}
    for training in (True, False):
        session, _, _, _ = built(Mlp(hidden=[5, 4], dropout=0.5), LabelTarget(3), training=training)
        names[training] = sum(node.name.endswith("/mask") for node in session.graph.nodes)
    assert names == {True: 2, False: 0}


def test_mlp_initializers_are_for_all_layers() -> None:
    constant = {"name": "constant", "value": 0.25}
    session, _, model, _ = built(
        Mlp(hidden=[5], kernel_initializer=constant, bias_initializer=constant), LabelTarget(3)
    )
    assert all((session.value(variable) == 0.25).all() for variable in model.variables)


def test_autoencoder() -> None:
    session, x, model, prediction = built(Autoencoder(encoder=[5, 2], activation="tanh"))
    w1, b1, w2, b2, w3, b3, w4, b4 = randomized(session, model)
    output, logits = session.run([prediction.value, prediction.scores], {x: X})
    code = np.tanh(np.tanh(X.reshape(4, 6) @ w1 + b1) @ w2 + b2)
    reconstruction = sigmoid(np.tanh(code @ w3 + b3) @ w4 + b4).reshape(4, 2, 3)
    np.testing.assert_allclose(output, reconstruction, rtol=1e-12)
    np.testing.assert_allclose(sigmoid(logits), output, rtol=1e-12)
    assert isinstance(prediction, Bernoulli)


def test_autoencoder_with_tied_weights_decodes_with_the_transposed_kernels() -> None:
    session, x, model, prediction = built(Autoencoder(encoder=[5, 2], activation="tanh", tied_weights=True))
    w1, b1, w2, b2, b3, b4 = randomized(session, model)
    output = session.run(prediction.value, {x: X})
    code = np.tanh(np.tanh(X.reshape(4, 6) @ w1 + b1) @ w2 + b2)
    np.testing.assert_allclose(
        output, sigmoid(np.tanh(code @ w2.T + b3) @ w1.T + b4).reshape(4, 2, 3), rtol=1e-12
    )
    assert [b.shape for b in (b1, b2, b3, b4)] == [(5,), (2,), (5,), (6,)]


def test_autoencoder_scopes_say_encoder_and_decoder() -> None:
    for tied in (False, True):
        _, _, model, _ = built(Autoencoder(encoder=[5, 2], tied_weights=tied))
        names = [variable.name for variable in model.variables]
        assert names[0] == "autoencoder/encoder/dense/kernel"
        assert names[-1] == "autoencoder/decoder/dense_1/bias"


def test_sequential_is_its_layers() -> None:
    layers = ["flatten", {"name": "dense", "units": 5, "activation": "tanh"}, {"name": "dense", "units": 3}]
    session, x, model, prediction = built(Sequential(layers=layers), LabelTarget(3))
    w1, b1, w2, b2 = randomized(session, model)
    output, logits = session.run([prediction.value, prediction.scores], {x: X})
    np.testing.assert_allclose(logits, np.tanh(X.reshape(4, 6) @ w1 + b1) @ w2 + b2, rtol=1e-12)
    np.testing.assert_allclose(output, softmax(logits), rtol=1e-12)


@pytest.mark.parametrize(
    "end",
    [
        [{"name": "dense", "units": 3, "activation": "softmax"}],
        [{"name": "dense", "units": 3}, {"name": "activation", "function": "softmax"}],
        [{"name": "dense", "units": 3, "activation": "softmax"}, {"name": "reshape", "shape": [3]}],
        [{"name": "dense", "units": 3}],
    ],
)
def test_sequential_classifiers_have_exactly_one_softmax(end: list[Any]) -> None:
    session, x, model, prediction = built(Sequential(layers=["flatten", *end]), LabelTarget(3))
    kernel, bias = randomized(session, model)
    logits, output = session.run([prediction.scores, prediction.value], {x: X})
    np.testing.assert_allclose(logits, X.reshape(4, 6) @ kernel + bias, rtol=1e-12)
    np.testing.assert_allclose(output, softmax(logits), rtol=1e-12)
    assert isinstance(prediction, Categorical)


def test_sequential_keeps_logits_through_a_final_reshape() -> None:
    layers = [
        "flatten",
        {"name": "dense", "units": 6, "activation": "sigmoid"},
        {"name": "reshape", "shape": [2, 3]},
    ]
    session, x, _, prediction = built(Sequential(layers=layers))
    logits, output = session.run([prediction.scores, prediction.value], {x: X})
    np.testing.assert_allclose(sigmoid(logits), output, rtol=1e-12)
    assert output.shape == (4, 2, 3)


def test_updates_of_all_layers_are_collected() -> None:
    norms = ["flatten", "batch_norm", {"name": "dense", "units": 3}, "batch_norm"]
    with Graph():
        x = placeholder("float64", ("batch", 2, 3), "x")
        model = Sequential(layers=norms).build(x.spec, LabelTarget(3), 0)
        _, updates = model(x, training=True)
    assert [variable.name for variable, _ in updates.pairs] == [
        "sequential/batch_norm/moving_mean",
        "sequential/batch_norm/moving_variance",
        "sequential/batch_norm_1/moving_mean",
        "sequential/batch_norm_1/moving_variance",
    ]
    assert len(model.variables) == 10


def test_training_and_evaluation_share_the_variables() -> None:
    with Graph() as graph:
        x = placeholder("float32", ("batch", 6), "x")
        model = Mlp(hidden=[4], dropout=0.5).build(x.spec, LabelTarget(3), 0)
        model(x, training=True)
        model(x, training=False)
    assert graph.variables[: len(model.variables)] == model.variables
    assert [variable.name for variable in graph.variables] == [
        "mlp/dense/kernel",
        "mlp/dense/bias",
        "mlp/dense_1/kernel",
        "mlp/dense_1/bias",
        "step",
    ]


def test_seed_and_dtype_of_initial_values() -> None:
    def kernel(seed: int, dtype: str = "float64") -> Array:
        with Graph() as graph:
            model = Mlp(hidden=[4]).build(placeholder(dtype, ("batch", 6)).spec, LabelTarget(3), seed)
        return Session(graph).value(model.variables[0])

    np.testing.assert_array_equal(kernel(1), kernel(1))
    assert not np.array_equal(kernel(1), kernel(2))
    np.testing.assert_array_equal(kernel(1).astype(np.float32), kernel(1, "float32"))


def test_layers_of_one_shape_have_different_first_values() -> None:
    session, _, model, _ = built(Mlp(hidden=[6, 6]), LabelTarget(6))
    kernels = [session.value(variable) for variable in model.variables if variable.spec.rank == 2]
    assert [kernel.shape for kernel in kernels] == [(6, 6)] * 3
    assert len({kernel.tobytes() for kernel in kernels}) == 3


def test_another_layer_at_the_end_leaves_the_first_values_of_the_others() -> None:
    kernels = []
    for hidden in ([5, 4], [5, 4, 7]):
        session, _, model, _ = built(Mlp(hidden=hidden), LabelTarget(3))
        kernels.append([session.value(variable) for variable in model.variables[:3]])
    for one, other in zip(*kernels, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nodes_name_the_key_they_come_from() -> None:
    _, _, _, prediction = built(Sequential(layers=["flatten", {"name": "dense", "units": 3}]), LabelTarget(3))
    assert prediction.scores.source == Key("model", "layers", 1)


@pytest.mark.parametrize(
    ("target", "prediction", "function"),
    [
        (NumbersTarget((4,)), Point, lambda x: x),
        (NumbersTarget(()), Point, lambda x: x),
        (NumbersTarget((2, 2)), Point, lambda x: x),
        (INPUT, Point, lambda x: x),
        (MultiLabelTarget((4,)), Bernoulli, sigmoid),
        (PositionsTarget(3, (2,)), Categorical, softmax),
    ],
)
@pytest.mark.parametrize("written_out", [False, True])
def test_a_model_ends_in_what_the_target_asks_for(
    target: Target, prediction: type[Prediction], function: Any, written_out: bool
) -> None:
    units = int(np.prod(target.output_shape))
    end = {"name": "reshape", "shape": list(target.output_shape)}
    layers = Sequential(layers=["flatten", {"name": "dense", "units": units}, end])
    session, x, model, found = built(layers if written_out else Mlp(hidden=[]), target)
    kernel, bias = randomized(session, model)
    assert isinstance(found, prediction)
    expected = function((X.reshape(4, 6) @ kernel + bias).reshape(4, *target.output_shape))
    np.testing.assert_allclose(session.run(found.value, {x: X}), expected, rtol=1e-12)


def test_a_softmax_over_other_numbers_than_the_last_axis_stays_where_it_is() -> None:
    model = Autoencoder(encoder=[5], output_activation="softmax")
    session, x, built_model, prediction = built(model)
    w1, b1, w2, b2 = randomized(session, built_model)
    assert isinstance(prediction, Point)
    expected = softmax(np.maximum(X.reshape(4, 6) @ w1 + b1, 0) @ w2 + b2).reshape(4, 2, 3)
    np.testing.assert_allclose(session.run(prediction.value, {x: X}), expected, rtol=1e-12)
