"""What every registered component promises; one without a case here fails.

A case is a mapping of keys, as a config would give them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from dltrain.autodiff import Graph, Tensor, Variable, ops, placeholder
from dltrain.config import Component, Document, dump, json_schema, parse
from dltrain.costs import Cost
from dltrain.execution import Session
from dltrain.execution.checking import check_gradients
from dltrain.layers import ActivationFunction, Initializer, Layer
from dltrain.layers.initializers import generator_for
from dltrain.metrics import Metric
from dltrain.models import Model
from dltrain.optimizers import Optimizer, Schedule
from dltrain.task import ClassTarget, InputTarget, LabelTarget

Keys = Mapping[str, Any]

CASES: dict[type[Component], dict[str, list[Keys]]] = {
    Initializer: {
        "glorot_uniform": [{}],
        "glorot_normal": [{}],
        "he_uniform": [{}],
        "he_normal": [{}],
        "lecun_uniform": [{}],
        "lecun_normal": [{}],
        "random_normal": [{}, {"mean": 1, "standard_deviation": 1.0}],
        "truncated_normal": [{}, {"mean": -1.0, "standard_deviation": 0.1}],
        "orthogonal": [{}, {"gain": 2.0}],
        "zeros": [{}],
        "constant": [{"value": 0.5}],
    },
    ActivationFunction: {
        "linear": [{}],
        "relu": [{}],
        "leaky_relu": [{}, {"slope": 0.3}],
        "elu": [{}, {"alpha": 0.5}],
        "gelu": [{}],
        "silu": [{}],
        "softplus": [{}],
        "sigmoid": [{}],
        "tanh": [{}],
        "softmax": [{}],
    },
    Layer: {
        "dense": [{"units": 3}, {"units": 1, "use_bias": False, "activation": "softmax"}],
        "activation": [{"function": "tanh"}],
        "dropout": [{}, {"rate": 0.0}],
        "flatten": [{}],
        "reshape": [{"shape": [2, 2]}],
        "layer_norm": [{}],
        "batch_norm": [{}],
    },
    Model: {
        "softmax_regression": [{}],
        "mlp": [{"hidden": []}, {"hidden": [5, 4], "activation": "silu", "dropout": 0.5}],
        "autoencoder": [
            {"encoder": [3, 2], "activation": "tanh"},
            {"encoder": [2], "activation": "gelu", "tied_weights": True, "output_activation": "linear"},
        ],
        "sequential": [
            {
                "layers": [
                    {"name": "dense", "units": 3, "activation": "tanh"},
                    "flatten",
                    {"name": "dense", "units": 3},
                ]
            },
            {
                "layers": [
                    "flatten",
                    {"name": "dense", "units": 5},
                    "batch_norm",
                    {"name": "activation", "function": "tanh"},
                    {"name": "dropout", "rate": 0.2},
                    "layer_norm",
                    {"name": "dense", "units": 3},
                ]
            },
        ],
    },
    Cost: {
        "cross_entropy": [{}, {"label_smoothing": 0.1, "l2": 0.1}],
        "binary_cross_entropy": [{}],
        "mse": [{}, {"l1": 0.1}],
        "mae": [{}],
        "huber": [{}, {"delta": 0.1}],
    },
    Optimizer: {
        "sgd": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "schedule": "cosine"}],
        "rmsprop": [{}, {"momentum": 0.9, "centered": True}],
        "adagrad": [{}],
        "adadelta": [{}],
        "adam": [{}, {"clip_norm": 1.0, "clip_value": 0.5}, {"beta1": 0.0, "beta2": 0.0}],
        "adamw": [{}],
        "nadam": [{}],
        "lion": [{}, {"weight_decay": 0.1}],
    },
    Schedule: {
        "constant": [{}, {"warmup": 3}],
        "step": [{}, {"decay_steps": 2, "warmup": 0.2}],
        "exponential": [{}, {"decay_steps": 2}],
        "cosine": [{}, {"final_factor": 0.1, "warmup": 2}],
        "one_cycle": [{}, {"warmup": 0.1}],
    },
    Metric: {
        "accuracy": [{}],
        "top_k_accuracy": [{"k": 2}],
        "confusion_matrix": [{}],
        "perplexity": [{}],
        "precision": [{}, {"average": "micro"}],
        "recall": [{}],
        "f1": [{}, {"average": "none"}],
        "roc_auc": [{}],
        "mse": [{}],
        "mae": [{}],
        "r2": [{}],
    },
}


def registered(base: type[Component]) -> dict[str, type[Component]]:
    """The components of the package itself; other tests may register their own."""
    found = base.registered()
    return {name: cls for name, cls in found.items() if cls.__module__.startswith("dltrain.")}


def classes() -> list[type[Component]]:
    return [cls for base in CASES for cls in registered(base).values()]


def cases(base: type[Component]) -> list[Any]:
    return [
        pytest.param({"name": name, **keys}, id=f"{name}-{number}")
        for name, all_keys in CASES[base].items()
        for number, keys in enumerate(all_keys)
    ]


def make(base: type[Component], keys: Keys) -> Any:
    return parse(base, Document(dict(keys), source="case"))


# ---- all kinds ----


@pytest.mark.parametrize("base", CASES, ids=lambda base: base.component_kind)
def test_every_component_has_a_case(base: type[Component]) -> None:
    assert set(CASES[base]) == set(registered(base))


def test_every_kind_is_here() -> None:
    kinds = {
        base
        for base in Component.registered_kinds()
        if re.match(r"dltrain\.(layers|models|costs|optimizers|metrics)\.", base.__module__)
    }
    assert kinds == set(CASES)


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: f"{cls.component_kind}-{cls.component_name}")
def test_docstrings_give_a_formula_and_a_source(cls: type[Component]) -> None:
    doc = vars(cls).get("__doc__") or ""
    assert re.search(r"[=<(^*|]", doc), "no formula"
    assert re.search(r"\b(17|18|19|20)\d\d\b|[Ss]ources?:|formula: ", doc), "no source, nor a definition"


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: f"{cls.component_kind}-{cls.component_name}")
def test_fields_have_descriptions_and_numbers_have_ranges(cls: type[Component]) -> None:
    unlimited = {"mean", "value"}  # of an initializer: any number will do
    schema = json_schema(cls)
    for key, field in cls.model_fields.items():
        assert field.description, key
        described = schema["properties"][key]
        for part in described.get("anyOf", [described]):
            part = part.get("items", part)
            if part.get("type") in ("number", "integer") and key not in unlimited:
                assert part.keys() & {"minimum", "exclusiveMinimum"}, key


@pytest.mark.parametrize(
    ("base", "keys"),
    [
        pytest.param(base, *case.values, id=f"{base.component_kind}-{case.id}")
        for base in CASES
        for case in cases(base)
    ],
)
def test_written_out_and_read_again_it_is_the_same(base: type[Component], keys: Keys) -> None:
    component = make(base, keys)
    assert parse(base, Document(dump(component), source="dump")) == component


# ---- initializers ----


@pytest.mark.parametrize("keys", cases(Initializer))
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (3, 7), (2, 3, 4)])
def test_initializer(keys: Keys, shape: tuple[int, ...]) -> None:
    initializer = make(Initializer, keys)
    values = initializer.values(shape, generator_for(3, "w"))
    assert values.shape == shape
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values, initializer.values(shape, generator_for(3, "w")))


# ---- activations and layers ----


@pytest.mark.parametrize("keys", cases(ActivationFunction))
def test_activation(keys: Keys) -> None:
    activation = make(ActivationFunction, keys)
    for dtype in ("float32", "float64"):
        with Graph() as graph:
            x = placeholder(dtype, ("batch", 5), "x")
            y = activation(x)
        assert y.spec == x.spec
        session = Session(graph)
        extremes = np.array([[1e8, -1e8, 0, 1, -1]], dtype)
        assert np.isfinite(session.run(y, {x: extremes})).all()
    check_gradients(y, [x], {x: np.random.default_rng(0).normal(0, 2, (3, 5))})


@pytest.mark.parametrize("keys", cases(Layer))
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(1, 4), (3, 4), (2, 3, 4)])
def test_layer(keys: Keys, training: bool, shape: tuple[int, ...]) -> None:
    layer = make(Layer, keys)
    if layer.component_name == "reshape" and len(shape) == 3:
        layer = make(Layer, {**keys, "shape": [6, 2]})
    batch = shape[0]
    for dtype in ("float32", "float64"):
        with Graph() as graph:
            x = placeholder(dtype, ("batch", *shape[1:]), "x")
            built = layer.build(x.spec, seed=0)
            forward = built(x, training=training)
        assert forward.output.spec == built.output
        session = Session(graph)
        for value in (np.zeros(shape, dtype), np.full(shape, 0.5, dtype)):
            found, _ = session.run([forward.output, forward.updates], {x: value})
            assert found.shape == built.output.bind({"batch": batch}).shape
            assert np.isfinite(found).all()
        assert all(np.isfinite(value).all() for value in session.state().values())
    values = np.random.default_rng(1).normal(0, 1, shape)
    trainable = [v for v in built.variables.values() if isinstance(v, Variable) and v.trainable]
    check_gradients(forward.output, [x, *trainable], {x: values}, session)


# ---- models and costs ----


def model_and_target(model: Model, dtype: str, *, training: bool) -> tuple[Graph, Tensor, Tensor, Any, Any]:
    with Graph() as graph:
        x = placeholder(dtype, ("batch", 2, 2), "x")
        kind = LabelTarget(3) if model.component_name != "autoencoder" else InputTarget((2, 2))
        target = kind.of(x)
        built = model.build(x.spec, kind, seed=0)
    return graph, x, target, built, built(x, training=training)


@pytest.mark.parametrize("keys", cases(Model))
@pytest.mark.parametrize("training", [True, False])
def test_model(keys: Keys, training: bool) -> None:
    model = make(Model, keys)
    labelled = model.component_name != "autoencoder"
    for dtype in ("float32", "float64"):
        graph, x, target, built, (prediction, updates) = model_and_target(model, dtype, training=training)
        with graph:
            loss = make(Cost, {"name": "cross_entropy" if labelled else "mse"})(prediction, target)
        session = Session(graph)
        rng = np.random.default_rng(2)
        for images in (
            np.zeros((1, 2, 2)),
            np.zeros((3, 2, 2)),
            rng.random((1, 2, 2)),
            rng.random((4, 2, 2)),
        ):
            feeds: dict[Tensor, Any] = {x: images.astype(dtype)}
            if labelled:
                feeds[target] = np.arange(len(images)) % 3
            found, output, _ = session.run([loss, prediction.value, updates], feeds)
            assert np.isfinite(found)
            assert output.shape == ((len(images), 3) if labelled else images.shape)
        assert all(np.isfinite(value).all() for value in session.state().values())
    trainable = [variable for variable in built.variables if variable.trainable]
    for variable in trainable:  # all of them random: at zeros some functions have corners
        session.assign(variable, rng.normal(0, 0.5, variable.shape))
    check_gradients(loss, trainable, feeds, session)


@pytest.mark.parametrize("keys", cases(Cost))
def test_cost(keys: Keys) -> None:
    cost = make(Cost, keys)
    classifier = cost.component_name == "cross_entropy"
    model = make(
        Model, {"name": "softmax_regression"} if classifier else {"name": "autoencoder", "encoder": [2]}
    )
    graph, x, target, built, (prediction, _) = model_and_target(model, "float64", training=True)
    with graph:
        loss = cost(prediction, target)
        penalty = cost.penalty(built.variables)
        total = loss if penalty is None else loss + penalty
    assert loss.shape == ()
    assert (penalty is None) == (cost.l1 == cost.l2 == 0)
    session = Session(graph)
    rng = np.random.default_rng(6)
    for variable in built.variables:
        session.assign(variable, rng.normal(0, 1, variable.shape))
    feeds: dict[Tensor, Any] = {x: rng.random((3, 2, 2))}
    if classifier:
        feeds[target] = np.array([2, 0, 1])
    assert session.run(loss, feeds) > 0
    check_gradients(total, built.variables, feeds, session)


# ---- optimizers and schedules ----


@pytest.mark.parametrize("keys", cases(Optimizer))
def test_optimizer(keys: Keys) -> None:
    """On a quadratic bowl and a small rate it goes down, in both dtypes, and keeps all values finite."""
    optimizer = make(Optimizer, keys)
    for dtype in ("float32", "float64"):
        with Graph() as graph:
            matrix = Variable(np.full((3, 2), 2.0), dtype=dtype, name="matrix")
            scalar = Variable(-2.0, dtype=dtype, name="scalar")
            loss = ops.sum(ops.square(matrix)) + ops.square(scalar)
            updates = optimizer.minimize(loss, total_steps=20)
            rate = optimizer.learning_rate_at(graph.step, 20)
        session = Session(graph)
        losses = [session.run([loss, rate, updates])[0] for _ in range(20)]
        assert losses[-1] < losses[0]
        assert session.value(graph.step) == 20
        for variable in graph.variables:
            assert np.isfinite(session.value(variable)).all()
            assert session.value(variable).dtype == variable.dtype
        slots = [variable for variable in graph.variables if variable.name.startswith(keys["name"] + "/")]
        assert {slot.shape for slot in slots} <= {(7,)}


@pytest.mark.parametrize("keys", cases(Schedule))
@pytest.mark.parametrize("total", [1, 2, 30])
def test_schedule(keys: Keys, total: int) -> None:
    schedule = make(Schedule, keys)
    with Graph() as graph:
        step = placeholder("int64", (), "step")
        rate = make(Optimizer, {"name": "sgd", "learning_rate": 0.5, "schedule": schedule}).learning_rate_at(
            step, total
        )
    session = Session(graph)
    rates = [session.run(rate, {step: s}) for s in range(total + 2)]
    assert all(0 < found <= 0.5 * (1 + 1e-12) for found in rates[:total])
    assert all(np.isfinite(rates))


# ---- metrics ----


@pytest.mark.parametrize("keys", cases(Metric))
@pytest.mark.parametrize("batch", [1, 4])
def test_metric(keys: Keys, batch: int) -> None:
    metric = make(Metric, keys)
    classifier = ClassTarget in metric.targets
    model = make(
        Model, {"name": "softmax_regression"} if classifier else {"name": "autoencoder", "encoder": [2]}
    )
    graph, x, target, _, (prediction, _) = model_and_target(model, "float32", training=False)
    with graph:
        sums = metric.build(prediction, target)
    feeds: dict[Tensor, Any] = {x: np.zeros((batch, 2, 2), np.float32)}
    if classifier:
        feeds[target] = np.arange(batch) % 3
    totals = Session(graph).run(list(sums), feeds)
    if metric.keeps_examples:
        assert all(tensor.shape[0] == "batch" for tensor in sums)
    else:
        assert not any(tensor.spec.names for tensor in sums)
    found = metric.figure(*totals)
    assert isinstance(found, float) == metric.is_number
    assert metric.unit in ("", "%")
