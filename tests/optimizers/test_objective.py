"""A loss as a function of parameters: closed forms, and differences; and an optimizer that uses all of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_helpers import parsed, softmax_config, write_data

from dltrain.autodiff import Graph, Tensor, Updates, Variable, constant, ops
from dltrain.autodiff.spec import Array
from dltrain.errors import GraphError
from dltrain.execution import Session
from dltrain.optimizers import Objective, Optimizer
from dltrain.runs.run import Run

RNG = np.random.default_rng(8)
A = RNG.normal(size=(3, 3))
A = A @ A.T + np.eye(3)
B, X = RNG.normal(size=3), RNG.normal(size=3)
C, Y = 2.5, RNG.normal(size=(2, 2))


def quadratic() -> tuple[Graph, Objective]:
    """x A x / 2 - b x + c |y|^2 / 2, and a variable that it does not depend on."""
    with Graph() as graph:
        x, y = Variable(X, name="x"), Variable(Y, name="y")
        Variable(np.ones(4), name="other")
        a = ops.sum(x * ops.sum(constant(A) * x, axis=1)) / 2 - ops.sum(constant(B) * x)
        objective = Objective(a + C * ops.sum(ops.square(y)) / 2)
    return graph, objective


def test_gradient_and_hessian_products_of_a_quadratic() -> None:
    graph, objective = quadratic()
    v, w = RNG.normal(size=3), RNG.normal(size=(2, 2))
    with graph:
        products = objective.hessian_product([constant(v), constant(w)])
    assert [variable.name for variable in objective.variables] == ["x", "y"]
    gx, gy, hv, hw = Session(graph).run([*objective.gradient, *products])
    np.testing.assert_allclose(gx, A @ X - B, rtol=1e-12)
    np.testing.assert_allclose(gy, C * Y, rtol=1e-12)
    np.testing.assert_allclose(hv, A @ v, rtol=1e-12)
    np.testing.assert_allclose(hw, C * w, rtol=1e-12)


def test_the_loss_elsewhere() -> None:
    graph, objective = quadratic()
    before = len(graph.variables)
    with graph:
        loss = objective.at([objective.variables[0] + 1.0, objective.variables[1] * 2.0])
    assert len(graph.variables) == before
    here, there = Session(graph).run([objective.loss, loss])

    def value(x: Array, y: Array) -> float:
        return float(x @ A @ x / 2 - B @ x + C * np.sum(y**2) / 2)

    assert here == pytest.approx(value(X, Y), rel=1e-12)
    assert there == pytest.approx(value(X + 1, 2 * Y), rel=1e-12)


def test_elsewhere_dropout_has_the_same_mask() -> None:
    with Graph(seed=3) as graph:
        x = Variable(np.ones(50), name="x")
        objective = Objective(ops.sum(ops.square(ops.dropout(x, 0.5))))
        same, double = objective.at([x]), objective.at([x * 2.0])
    here, there, far = Session(graph).run([objective.loss, same, double])
    assert (there, far) == (here, 4 * here)


def test_a_value_of_another_shape_is_refused() -> None:
    graph, objective = quadratic()
    with graph:
        with pytest.raises(GraphError, match=r"the value of 'y' float64\[2, 2\] is float64\[3\]"):
            objective.at([objective.variables[0], constant(np.ones(3))])
        with pytest.raises(GraphError, match="1 values are given for 2 tensors"):
            objective.at(objective.variables[:1])


def classifier() -> tuple[Graph, Objective, Tensor]:
    """tanh(x W) V into softmax and cross entropy, with a penalty on V."""
    with Graph() as graph:
        w, v = Variable(RNG.normal(size=(3, 4)), name="w"), Variable(RNG.normal(size=(4, 3)), name="v")
        inputs = constant(RNG.normal(size=(5, 3)))
        scores = ops.tanh(inputs @ w) @ v
        cost = ops.mean(ops.softmax_cross_entropy(scores, constant(np.arange(5) % 3)))
        penalty = 0.3 * ops.sum(ops.square(v)) / 2
        objective = Objective(cost + penalty, outputs=[scores], penalty=penalty)
    return graph, objective, scores


def flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([np.ravel(array) for array in arrays])


def differences(session: Session, variables: Sequence[Variable], tensors: Sequence[Tensor]) -> Array:
    """The derivatives of the tensors by all numbers of the variables: `(outputs, parameters)`."""
    columns, h = [], 1e-5
    for variable in variables:
        value = session.value(variable)
        for place in np.ndindex(value.shape):
            sides = []
            for step in (h, -h):
                moved = value.copy()
                moved[place] += step
                session.assign(variable, moved)
                sides.append(flat(session.run(list(tensors))))
            columns.append((sides[0] - sides[1]) / (2 * h))
        session.assign(variable, value)
    return np.stack(columns, axis=1)


def test_products_of_a_network_by_differences() -> None:
    graph, objective, scores = classifier()
    vectors = [RNG.normal(size=variable.shape) for variable in objective.variables]
    with graph:
        given = [constant(vector) for vector in vectors]
        hessian, gauss_newton = objective.hessian_product(given), objective.gauss_newton_product(given)
    session = Session(graph, kernels="numpy")
    hv, gv = flat(session.run(hessian)), flat(session.run(gauss_newton))
    h = differences(session, objective.variables, objective.gradient)
    np.testing.assert_allclose(hv, h @ flat(vectors), rtol=1e-6, atol=1e-8)
    j = differences(session, objective.variables, [scores])
    p = np.exp(session.run(scores))
    p /= p.sum(1, keepdims=True)
    g = np.zeros_like(h)
    for row in range(5):  # of softmax and cross entropy the Hessian is diag(p) - p p, here of a mean
        part = j[3 * row : 3 * row + 3]
        g += part.T @ (np.diag(p[row]) - np.outer(p[row], p[row])) @ part / 5
    g += np.diag([0.0] * 12 + [0.3] * 12)
    np.testing.assert_allclose(gv, g @ flat(vectors), rtol=1e-6, atol=1e-8)


def test_without_outputs_there_is_no_gauss_newton_matrix() -> None:
    graph, objective = quadratic()
    with (
        graph,
        pytest.raises(GraphError, match=r"no Gauss-Newton matrix: .*; give the"),
    ):
        objective.gauss_newton_product(objective.variables)


class SteepestDescent(Optimizer):
    """p <- p - a g with a = (g, g) / (g, H g), halved as long as the loss would grow, three times at most."""

    def step(self, objective: Objective, total_steps: int | None = None) -> Updates:
        g, graph = objective.gradient, objective.loss.graph
        with graph:
            h = objective.hessian_product(g)
            length = _dot(g, g) / _dot(g, h)
            for _ in range(3):
                there = objective.at(_moved(objective.variables, length, g))
                length = ops.where(ops.less(there, objective.loss), length, length / 2)
            pairs = zip(objective.variables, _moved(objective.variables, length, g), strict=True)
            return Updates([*pairs, (graph.step, graph.step + 1)])


def test_a_config_names_it(tmp_path: Path) -> None:
    text = softmax_config(write_data(tmp_path), epochs=1, batch_size=40)
    run = Run(parsed(text.replace("{name: sgd, learning_rate: 0.5}", "named_descent")))
    session = run.session
    losses = [session.compile(run.training)(*run.data.splits["train"].arrays())[0] for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


def _dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> Any:
    first, *others = [ops.sum(x * y) for x, y in zip(a, b, strict=True)]
    return sum(others, first)


def _moved(variables: Sequence[Tensor], length: Tensor, along: Sequence[Tensor]) -> list[Tensor]:
    return [x - length * g for x, g in zip(variables, along, strict=True)]


class NamedDescent(SteepestDescent, name="named_descent"):
    """The same, with a name."""


def test_an_optimizer_that_uses_second_derivatives_and_other_places() -> None:
    graph, objective = quadratic()
    optimizer = NamedDescent()
    with graph:
        updates = optimizer.minimize(objective.loss)
        rate = optimizer.learning_rate_at(graph.step)
    session = Session(graph)
    session.run(updates)
    g = np.concatenate([A @ X - B, C * Y.ravel()])
    hg = np.concatenate([A @ g[:3], C * g[3:]])
    expected = np.concatenate([X, Y.ravel()]) - g @ g / (g @ hg) * g
    found = flat([session.value(variable) for variable in objective.variables])
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    for _ in range(60):
        session.run(updates)
    np.testing.assert_allclose(session.value(objective.variables[0]), np.linalg.solve(A, B), rtol=1e-6)
    assert session.value(graph.step) == 61
    assert session.run(rate) == 1.0
