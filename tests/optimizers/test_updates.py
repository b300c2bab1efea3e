"""Each optimizer against its paper's formula, computed per variable in plain NumPy, over 100 steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dltrain.autodiff import Graph, Variable, ops, placeholder
from dltrain.autodiff.spec import Array
from dltrain.execution import Session
from dltrain.optimizers import Adadelta, Adagrad, Adam, AdamW, Lion, Nadam, Optimizer, RmsProp, Sgd

STEPS = 100
SHAPES = [(4, 3), (3,), (), (2, 1, 5)]
Rule = Callable[[Array, Array, dict[str, Any], int, float], Array]
"""(parameter, gradient, state of the variable, t, rate) -> new parameter."""


def sgd(p: Array, g: Array, s: dict[str, Any], t: int, rate: float) -> Array:
    return p - rate * g


def momentum(p: Array, g: Array, s: dict[str, Any], t: int, rate: float) -> Array:
    s["b"] = 0.8 * s.get("b", 0) + g
    return p - rate * s["b"]


def nesterov(p: Array, g: Array, s: dict[str, Any], t: int, rate: float) -> Array:
    s["b"] = 0.8 * s.get("b", 0) + g
    return p - rate * (g + 0.8 * s["b"])


def rmsprop(p: Array, g: Array, s: dict[str, Any], t: int, rate: float) -> Array:
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g**2
    return p - rate * g / (np.sqrt(s["v"]) + 1e-4)


def rmsprop_centered_momentum(p: Array, g: Array, s: dict[str, Any], t: int, rate: float) -> Array:
    s["v"] = 0.95 * s.get("v", 0) + 0.05 * g**2
    s["a"] = 0.95 * s.get("a", 0) + 0.05 * g
    s["b"] = 0.7 * s.get("b", 0) + g / (np.sqrt(s["v"] - s["a"] ** 2) + 1e-4)
    return p - rate * s["b"]


def adagrad(p: Array, g: Array, s: dict[str, Any], t: int, rate: float) -> Array:
    s["s"] = s.get("s", 0) + g**2
    return p - rate * g / (np.sqrt(s["s"]) + 1e-3)


def adadelta(p: Array, g: Array, s: dict[str, Any], t: int, rate: float) -> Array:
    s["v"] = 0.95 * s.get("v", 0) + 0.05 * g**2
    u = np.sqrt(s.get("w", 0) + 1e-6) / np.sqrt(s["v"] + 1e-6) * g
    s["w"] = 0.95 * s.get("w", 0) + 0.05 * u**2
    return p - rate * u


def adam(p: Array, g: Array, s: dict[str, Any], t: int, rate: float) -> Array:
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    return p - rate * (s["m"] / (1 - 0.9**t)) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-3)


def adamw(p: Array, g: Array, s: dict[str, Any], t: int, rate: float) -> Array:
    return adam(p, g, s, t, rate) - (rate * 0.1 * p if p.ndim >= 2 else 0)


def nadam(p: Array, g: Array, s: dict[str, Any], t: int, rate: float) -> Array:
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    ahead = 0.9 * s["m"] / (1 - 0.9 ** (t + 1)) + 0.1 * g / (1 - 0.9**t)
    return p - rate * ahead / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-3)


def lion(p: Array, g: Array, s: dict[str, Any], t: int, rate: float) -> Array:
    u = np.sign(0.9 * s.get("m", 0) + 0.1 * g)
    s["m"] = 0.99 * s.get("m", 0) + 0.01 * g
    return p - rate * (u + (0.3 * p if p.ndim >= 2 else 0))


CASES: dict[str, tuple[Optimizer, Rule]] = {
    "sgd": (Sgd(learning_rate=0.1), sgd),
    "momentum": (Sgd(learning_rate=0.05, momentum=0.8), momentum),
    "nesterov": (Sgd(learning_rate=0.05, momentum=0.8, nesterov=True), nesterov),
    "rmsprop": (RmsProp(learning_rate=0.02, epsilon=1e-4), rmsprop),
    "rmsprop_centered_momentum": (
        RmsProp(learning_rate=0.01, decay=0.95, momentum=0.7, centered=True, epsilon=1e-4),
        rmsprop_centered_momentum,
    ),
    "adagrad": (Adagrad(learning_rate=0.3, epsilon=1e-3), adagrad),
    "adadelta": (Adadelta(learning_rate=1.0), adadelta),
    "adam": (Adam(learning_rate=0.03, epsilon=1e-3), adam),
    "adamw": (AdamW(learning_rate=0.03, weight_decay=0.1, epsilon=1e-3), adamw),
    "nadam": (Nadam(learning_rate=0.03, epsilon=1e-3), nadam),
    "lion": (Lion(learning_rate=0.01, weight_decay=0.3), lion),
}


def problem(dtypes: list[str]) -> tuple[list[Variable], Any, Any]:
    """Variables, the fed slope of this step, and the loss sum(a w^2 / 2 + exp(-w) + slope w).

    Its gradient is a w - exp(-w) + slope; a is 1 for the first variable, 2 for the second, ... The slope
    keeps gradients from vanishing, where steps divided by their size would magnify rounding.
    """
    rng = np.random.default_rng(7)
    slope = placeholder("float64", (), "slope")
    variables = [
        Variable(rng.standard_normal(shape), dtype=dtype, name="w")
        for shape, dtype in zip(SHAPES, dtypes, strict=True)
    ]
    loss = slope * 0.0
    for a, variable in enumerate(variables, start=1):
        each = ops.sum(variable * variable * (a / 2) + ops.exp(-variable))
        loss = loss + ops.cast(each, "float64") + slope * ops.cast(ops.sum(variable), "float64")
    return variables, slope, loss


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_paper_over_100_steps(case: str) -> None:
    optimizer, rule = CASES[case]
    with Graph() as graph:
        variables, slope, loss = problem(["float64"] * len(SHAPES))
        updates = optimizer.minimize(loss)
    session = Session(graph)
    expected = [np.asarray(session.value(variable)) for variable in variables]
    states: list[dict[str, Any]] = [{} for _ in variables]
    slopes = np.random.default_rng(3).normal(0, 3, STEPS)
    for t in range(1, STEPS + 1):
        session.run(updates, {slope: slopes[t - 1]})
        for i, p in enumerate(expected):
            g = (i + 1) * p - np.exp(-p) + slopes[t - 1]
            expected[i] = np.asarray(rule(p, g, states[i], t, optimizer.learning_rate))
    assert session.value(graph.step) == STEPS
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(session.value(variable), value, rtol=1e-10, atol=1e-12)
    assert not np.allclose(expected[0], np.asarray(variables[0].initial))


@pytest.mark.parametrize("case", CASES)
def test_dtypes_are_packed_apart_and_agree(case: str) -> None:
    optimizer, _ = CASES[case]
    results = []
    for dtypes in (["float64"] * 4, ["float64", "float32", "float32", "float64"]):
        with Graph() as graph:
            variables, slope, loss = problem(dtypes)
            updates = optimizer.minimize(loss)
        session = Session(graph)
        for step in range(10):
            session.run(updates, {slope: 1.0 + 0.1 * step})
        results.append([session.value(variable) for variable in variables])
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("case", CASES)
def test_continues_exactly_from_a_saved_state(case: str) -> None:
    optimizer, _ = CASES[case]
    with Graph() as graph:
        _, slope, loss = problem(["float32"] * 4)
        updates = optimizer.minimize(loss)
    first = Session(graph)
    for _ in range(3):
        first.run(updates, {slope: 0.5})
    second = Session(graph)
    second.load_state(first.state())
    for session in (first, second):
        for _ in range(3):
            session.run(updates, {slope: 0.7})
    for variable in graph.variables:
        np.testing.assert_array_equal(first.value(variable), second.value(variable))


@pytest.mark.parametrize("case", CASES)
def test_a_gradient_of_zeros_does_not_make_nan(case: str) -> None:
    optimizer, _ = CASES[case]
    with Graph() as graph:
        weight = placeholder("float32", (), "weight")
        updates = optimizer.minimize(weight * ops.sum(Variable(np.ones((3, 2)), dtype="float32")))
    session = Session(graph)
    for value in (0.0, 0.0, 1.0, 0.0):
        session.run(updates, {weight: value})
        assert all(np.isfinite(session.value(variable)).all() for variable in graph.variables)
