"""Each layer against plain NumPy, and what building a layer promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dltrain.autodiff import Graph, Program, Spec, gradients, name_scope, placeholder
from dltrain.autodiff.ops import square, sum
from dltrain.autodiff.spec import Array
from dltrain.errors import ConfigError, GraphError
from dltrain.execution import Session
from dltrain.layers import Activation, BatchNorm, Dense, Dropout, Flatten, Layer, LayerNorm, Reshape
from dltrain.layers.activations import Linear, Tanh
from dltrain.places import Key

RNG = np.random.default_rng(5)


def applied(
    layer: Layer, x: Array, *, training: bool = False, values: dict[str, Array] | None = None
) -> tuple[Array, Session, Any]:
    """The layer's output for `x`, its variables set to `values`, after one run with its updates."""
    with Graph() as graph:
        batch = placeholder(x.dtype, ("batch", *x.shape[1:]), "x")
        built = layer.build(batch.spec, seed=0)
        forward = built(batch, training=training)
    assert forward.output.spec == built.output
    session = Session(graph)
    for name, value in (values or {}).items():
        session.assign(built.variables[name], value)
    found, _ = session.run([forward.output, forward.updates], {batch: x})
    return found, session, built


def test_dense() -> None:
    x, kernel, bias = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)
    found, _, _ = applied(Dense(units=2, activation="tanh"), x, values={"kernel": kernel, "bias": bias})
    np.testing.assert_allclose(found, np.tanh(x @ kernel + bias), rtol=1e-14)


def test_dense_is_applied_at_each_position_by_one_product() -> None:
    x, kernel, bias = RNG.standard_normal((4, 5, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)
    found, _, built = applied(Dense(units=2, activation="tanh"), x, values={"kernel": kernel, "bias": bias})
    np.testing.assert_allclose(found, np.tanh(x @ kernel + bias), rtol=1e-14)
    assert str(built.output) == "float64[batch, 5, 2]"


def test_the_gradient_of_a_dense_kernel_makes_no_stack_of_kernels() -> None:
    """What grows with the batch are the outputs and their gradient, not (batch, features, units)."""
    with Graph() as graph:
        x = placeholder("float32", ("batch", 6, 7), "x")
        built = Dense(units=5).build(x.spec, seed=0)
        output = built(x, training=True).output
        slopes = gradients(sum(square(output)), list(built.variables.values()))
        plan = Session(graph).compile(Program((x,), tuple(slopes))).bind(batch=200).plan
    assert plan.buffers < 2 * (4 * 200 * 6 * 5) + 4 * 200


def test_dense_without_bias() -> None:
    x, kernel = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2))
    found, _, built = applied(Dense(units=2, use_bias=False), x, values={"kernel": kernel})
    assert list(built.variables) == ["kernel"]
    np.testing.assert_allclose(found, x @ kernel, rtol=1e-14)


def test_dense_uses_its_initializers_and_the_dtype_of_its_inputs() -> None:
    layer = Dense(units=2, kernel_initializer="zeros", bias_initializer={"name": "constant", "value": 3.0})
    found, _, built = applied(layer, np.ones((1, 3), np.float32))
    np.testing.assert_array_equal(found, [[3, 3]])
    assert found.dtype == built.variables["kernel"].dtype == np.float32


def test_activation_layer_is_the_function() -> None:
    x = RNG.standard_normal((4, 3))
    found, _, _ = applied(Activation(function="relu"), x)
    np.testing.assert_array_equal(found, np.maximum(x, 0))


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        ("linear", lambda x: x),
        ("relu", lambda x: np.where(x > 0, x, 0)),
        ({"name": "leaky_relu", "slope": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x)),
        ({"name": "elu", "alpha": 1.5}, lambda x: np.where(x > 0, x, 1.5 * (np.exp(x) - 1))),
        (
            "gelu",
            lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        ),
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("softplus", lambda x: np.log(1 + np.exp(x))),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("tanh", np.tanh),
        ("softmax", lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    ],
)
def test_activation_functions(function: Any, formula: Any) -> None:
    x = RNG.standard_normal((5, 4))
    found, _, _ = applied(Activation(function=function), x)
    np.testing.assert_allclose(found, formula(x), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("layer", [Dense(units=3, activation="tanh"), Activation(function="tanh")])
def test_a_layer_splits_into_itself_without_its_activation_and_that(layer: Layer) -> None:
    rest, activation = layer.split()
    x = RNG.standard_normal((2, 3))
    with Graph() as graph:
        batch = placeholder("float64", ("batch", 3), "x")
        whole = layer.build(batch.spec, seed=0)
        one = whole(batch, training=False).output
        other = activation(replace(whole, layer=rest)(batch, training=False).output)
    found = Session(graph).run([one, other], {batch: x})
    np.testing.assert_array_equal(*found)
    assert activation == Tanh()
    assert rest.split() == (rest, Linear())


def test_flatten_and_reshape() -> None:
    x = RNG.standard_normal((3, 2, 4))
    np.testing.assert_array_equal(applied(Flatten(), x)[0], x.reshape(3, 8))
    np.testing.assert_array_equal(applied(Reshape(shape=[4, 2]), x)[0], x.reshape(3, 4, 2))


def test_dropout_is_off_outside_of_training() -> None:
    x = RNG.standard_normal((3, 4))
    np.testing.assert_array_equal(applied(Dropout(rate=0.9), x)[0], x)
    np.testing.assert_array_equal(applied(Dropout(rate=0.0), x, training=True)[0], x)


def test_dropout_sets_its_share_to_zero_and_keeps_the_mean() -> None:
    x = np.ones((200, 100))
    found, _, _ = applied(Dropout(rate=0.25), x, training=True)
    assert sorted(np.unique(found)) == pytest.approx([0, 1 / 0.75])
    assert (found == 0).mean() == pytest.approx(0.25, abs=0.02)


def test_layer_norm() -> None:
    x = RNG.normal(3, 2, (4, 5))
    gamma, beta = RNG.standard_normal(5), RNG.standard_normal(5)
    found, _, _ = applied(LayerNorm(epsilon=1e-3), x, values={"gamma": gamma, "beta": beta})
    normal = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(found, normal * gamma + beta, rtol=1e-12)


@pytest.mark.parametrize("shape", [(6, 3), (6, 2, 3)])
def test_batch_norm_in_training(shape: tuple[int, ...]) -> None:
    x = RNG.normal(3, 2, shape)
    gamma, beta = RNG.standard_normal(3), RNG.standard_normal(3)
    layer = BatchNorm(momentum=0.8, epsilon=1e-3)
    found, session, built = applied(layer, x, training=True, values={"gamma": gamma, "beta": beta})
    rows = x.reshape(-1, 3)
    mean, variance = rows.mean(0), rows.var(0)
    np.testing.assert_allclose(found, (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta, rtol=1e-11)
    np.testing.assert_allclose(session.value(built.variables["moving_mean"]), 0.2 * mean, rtol=1e-12)
    np.testing.assert_allclose(
        session.value(built.variables["moving_variance"]), 0.8 + 0.2 * variance, rtol=1e-12
    )


def test_batch_norm_elsewhere_uses_the_moving_averages_and_leaves_them() -> None:
    x, mean, variance = RNG.standard_normal((2, 3)), RNG.standard_normal(3), RNG.random(3) + 0.5
    values = {"moving_mean": mean, "moving_variance": variance}
    found, session, built = applied(BatchNorm(epsilon=1e-3), x, values=values)
    np.testing.assert_allclose(found, (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-12)
    np.testing.assert_array_equal(session.value(built.variables["moving_mean"]), mean)


def test_batch_norm_of_one_example_is_finite() -> None:
    found, session, _ = applied(BatchNorm(), RNG.standard_normal((1, 3)), training=True)
    np.testing.assert_array_equal(found, np.zeros((1, 3)))
    assert all(np.isfinite(value).all() for value in session.state().values())


def test_moving_averages_are_not_trainable() -> None:
    _, _, built = applied(BatchNorm(), np.ones((2, 3)))
    assert [name for name, variable in built.variables.items() if variable.trainable] == ["gamma", "beta"]


def test_two_applications_share_the_variables() -> None:
    with Graph() as graph:
        x = placeholder("float32", ("batch", 3), "x")
        built = Dense(units=2).build(x.spec, seed=0)
        before = len(graph.variables)
        one, two = built(x, training=True), built(x, training=False)
    assert len(graph.variables) == before == 2
    found = Session(graph).run([one.output, two.output], {x: np.ones((1, 3), np.float32)})
    np.testing.assert_array_equal(*found)


def test_names_are_scoped_and_numbered() -> None:
    with Graph() as graph:
        x = placeholder("float32", ("batch", 3), "x")
        first = Dense(units=3).build(x.spec, seed=0)
        second = Dense(units=2).build(first.output, seed=0)
        with name_scope("train"):
            second(first(x, training=True).output, training=True)
    assert [variable.name for variable in graph.variables] == [
        "dense/kernel",
        "dense/bias",
        "dense_1/kernel",
        "dense_1/bias",
    ]
    assert {"train/dense/matmul", "train/dense_1/matmul"} <= {node.name for node in graph.nodes}


def test_initial_values_depend_on_the_name_and_the_seed_only() -> None:
    def kernel(seed: int, *, other_layer_first: bool) -> Array:
        with Graph() as graph:
            if other_layer_first:
                LayerNorm().build(Spec(("batch", 3), np.dtype("float32")), seed)
            built = Dense(units=2).build(Spec(("batch", 3), np.dtype("float32")), seed)
        return Session(graph).value(built.variables["kernel"])

    np.testing.assert_array_equal(kernel(0, other_layer_first=True), kernel(0, other_layer_first=False))
    assert not np.array_equal(kernel(0, other_layer_first=False), kernel(1, other_layer_first=False))


@pytest.mark.parametrize(
    ("layer", "shape", "dtype", "message"),
    [
        (Dense(units=2), ("batch",), "float32", r"dense needs inputs of shape \(batch, ..., features\)"),
        (Dense(units=2), ("batch", 3), "uint8", "dense needs a batch of floats"),
        (Dense(units=2), ("batch", "features"), "float32", "has no size"),
        (Reshape(shape=[5]), ("batch", 2, 3), "float32", "6 numbers an example do not become 5"),
        (LayerNorm(), ("batch",), "float32", "layer_norm needs inputs of shape"),
        (Flatten(), (), "float32", "flatten needs a batch of floats"),
        (Dense(units=2**40), ("batch", 3), "float32", "would have 3298534883328 numbers"),
        (
            Dense(units=2, bias_initializer="orthogonal"),
            ("batch", 3),
            "float32",
            "orthogonal initial values need a matrix",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_the_key(
    layer: Layer, shape: tuple[Any, ...], dtype: str, message: str
) -> None:
    with Graph(), pytest.raises(GraphError, match=message) as caught:
        layer.build(Spec(shape, np.dtype(dtype)), seed=0, key=Key("model", "layers", 2))
    assert ": model.layers[2]" in str(caught.value)


@pytest.mark.parametrize(
    ("cls", "keys", "message"),
    [
        (Dense, {}, "'units'.* is missing"),
        (Dense, {"units": 0}, "units must be greater than 0"),
        (Dense, {"units": 2.5}, "units must be an integer"),
        (Dense, {"units": 2, "activation": "rleu"}, "did you mean 'relu'"),
        (Dense, {"units": 2, "activation": "swish"}, "its name here is 'silu'"),
        (Dense, {"units": 2, "kernel_initializer": "xavier_uniform"}, "its name here is 'glorot_uniform'"),
        (Dense, {"out_features": 2}, "write units instead"),
        (Dropout, {"rate": 1.0}, "rate must be less than 1"),
        (Dropout, {"rate": -0.1}, "rate must be at least 0"),
        (Reshape, {"shape": [2, -1]}, "shape.1 must be greater than 0"),
        (BatchNorm, {"momentum": 1.0}, "momentum must be less than 1"),
        (LayerNorm, {"epsilon": 0.0}, "epsilon must be greater than 0"),
        (LayerNorm, {"eps": 1e-3}, "write epsilon instead"),
    ],
)
def test_wrong_keys_are_refused(cls: type[Layer], keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cls(**keys)
