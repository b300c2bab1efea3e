"""dltrain: each function as a user writes it, compiled for its sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from cases import Case
from measuring import Asked, Evaluation, asked, measure
from problems import (
    DIFFUSION,
    LEARNING_RATE,
    LONGEST,
    RATE,
    STEP,
    TOLERANCE,
    A,
    B,
    gmm_constant,
    gmm_positions,
    problem,
)

import dltrain as dl
from dltrain.optimizers import Sgd

Tensor = dl.Tensor


def gmm(case: Case, alphas: Tensor, means: Tensor, icf: Tensor, x: Tensor) -> list[Tensor]:
    k, d, n = case["components"], case["dimensions"], case["points"]
    log_diagonals, lower = icf[:, :d], icf[:, d:]
    diagonals = dl.exp(log_diagonals)
    numbers = dl.concat([diagonals, lower], axis=1)
    q = dl.reshape(dl.scatter_add(numbers, gmm_positions(d), d * d, axis=1), (k, d, d))
    y = dl.matmul(x - dl.expand_dims(means, 1), q, transpose_b=True)  # [k, n, d]
    weights = dl.expand_dims(alphas + dl.sum(log_diagonals, axis=1), 1)
    likelihood = dl.sum(dl.logsumexp(weights - 0.5 * dl.sum(dl.square(y), axis=2), axis=0))
    prior = 0.5 * (dl.sum(dl.square(diagonals)) + dl.sum(dl.square(lower))) + gmm_constant(case)
    return with_gradient(likelihood - n * dl.logsumexp(alphas) + prior, [alphas, means, icf])


def rk(case: Case, u: Tensor, v: Tensor) -> list[Tensor]:
    def laplacian(x: Tensor) -> Tensor:
        return dl.concat([x[1:], x[:1]]) + dl.concat([x[-1:], x[:-1]]) - 2 * x

    def slopes(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        reaction = dl.square(u) * v
        slope_u = A + reaction - (B + 1) * u + DIFFUSION * laplacian(u)
        return slope_u, B * u - reaction + DIFFUSION * laplacian(v)

    def step(state: tuple[Tensor, Tensor], _: None) -> tuple[tuple[Tensor, Tensor], tuple[()]]:
        u, v = state
        u1, v1 = slopes(u, v)
        u2, v2 = slopes(u + STEP / 2 * u1, v + STEP / 2 * v1)
        u3, v3 = slopes(u + STEP / 2 * u2, v + STEP / 2 * v2)
        u4, v4 = slopes(u + STEP * u3, v + STEP * v3)
        return (u + STEP / 6 * (u1 + 2 * u2 + 2 * u3 + u4), v + STEP / 6 * (v1 + 2 * v2 + 2 * v3 + v4)), ()

    (end_u, end_v), _ = dl.scan(step, (u, v), None, length=case["steps"])
    return with_gradient(dl.sum(dl.square(end_u)) + dl.sum(dl.square(end_v)), [u, v])


def saddle(case: Case, a: Tensor, b: Tensor) -> list[Tensor]:
    def f(a: Tensor, b: Tensor) -> Tensor:
        return dl.sum(dl.square(a)) - dl.sum(dl.square(b)) + dl.sum(a * b)

    def descend(function: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
        def body(state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            x, _ = state
            _, gradient = with_gradient(function(x), [x])
            return x - RATE * gradient, dl.sum(dl.square(gradient))

        def condition(state: tuple[Tensor, Tensor]) -> Tensor:
            return state[1] > TOLERANCE**2

        (end, _), _ = dl.while_loop(condition, body, (start, dl.constant(np.inf, start.dtype)), LONGEST)
        return end

    def highest(at: Tensor) -> Tensor:
        return descend(lambda x: -f(at, x), b)

    end_a = descend(lambda x: f(x, highest(x)), a)
    end_b = highest(end_a)
    return [f(end_a, end_b), end_a, end_b]


def kmeans(case: Case, centres: Tensor, points: Tensor) -> list[Tensor]:
    distances = dl.sum(dl.square(dl.expand_dims(points, 1) - centres), axis=2)
    cost, gradient = with_gradient(dl.sum(dl.min(distances, axis=1)), [centres])
    _, diagonal = with_gradient(dl.sum(gradient), [centres])
    return [cost, centres - gradient / diagonal]


def products(case: Case, a: Tensor, b: Tensor) -> list[Tensor]:
    return with_gradient(0.5 * dl.sum(dl.square(a @ b)), [a, b])


def product(case: Case, a: Tensor, b: Tensor) -> list[Tensor]:
    return [a @ b]


def lstm(case: Case, w_x: Tensor, w_h: Tensor, bias: Tensor, x: Tensor) -> list[Tensor]:
    size = case["hidden"]

    def cell(state: tuple[Tensor, Tensor], x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        h, c = state
        gates = x @ w_x + h @ w_h + bias
        i, f, g, o = (gates[:, at * size : (at + 1) * size] for at in range(4))
        c = dl.sigmoid(f) * c + dl.sigmoid(i) * dl.tanh(g)
        h = dl.sigmoid(o) * dl.tanh(c)
        return (h, c), h

    zeros = dl.constant(np.zeros((case["batch"], size), case.dtype))
    _, outputs = dl.scan(cell, (zeros, zeros), x)
    return with_gradient(dl.mean(dl.square(outputs)), [w_x, w_h, bias])


def with_gradient(value: Tensor, wrt: list[Tensor]) -> list[Tensor]:
    gradients = dl.gradients(value, wrt)
    assert None not in gradients
    return [value, *gradients]


def function(case: Case, session: dl.Session) -> Evaluation:
    parameters, data = problem(case)
    with session.graph:
        inputs = [dl.placeholder(array.dtype, array.shape) for array in (*parameters, *data)]
        bound = session.make_callable(globals()[case.function](case, *inputs), inputs).bind()
    for place, array in zip(bound.inputs, (*parameters, *data), strict=True):
        place[...] = array
    return Evaluation(bound, list, lambda: plan_figures(bound))


def mlp(case: Case, session: dl.Session) -> Evaluation:
    parameters, (images, labels) = problem(case)
    with session.graph:
        x = h = dl.placeholder(images.dtype, images.shape)
        y = dl.placeholder(labels.dtype, labels.shape)
        variables = [dl.Variable(array) for array in parameters]
        for layer in range(0, len(variables), 2):
            h = (dl.relu(h) if layer else h) @ variables[layer] + variables[layer + 1]
        loss = dl.mean(dl.softmax_cross_entropy(h, y))
        updates = Sgd(learning_rate=LEARNING_RATE).minimize(loss)
    bound = session.make_callable([loss, updates], [x, y]).bind()
    bound.inputs[0][...], bound.inputs[1][...] = images, labels
    return Evaluation(
        bound,
        lambda outputs: [outputs[0], *(session.value(variable) for variable in variables)],
        lambda: plan_figures(bound),
    )


def plan_figures(bound: dl.execution.session.BoundFunction) -> dict[str, int]:
    return {"memory": bound.plan.bytes, "code": len(bound.plan.source)}


def run(asked: Asked) -> None:
    def build() -> Evaluation:
        kernels = "numpy" if asked.side == "dltrain-numpy" else "native"
        session = dl.Session(dl.Graph(), kernels=kernels)
        return (mlp if asked.case.function == "mlp" else function)(asked.case, session)

    measure(asked, build, {"dltrain": dl.__version__, "numpy": np.__version__})


run(asked())
