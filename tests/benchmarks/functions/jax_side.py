"""JAX: each function jitted, loops as its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from cases import Case
from jax import lax
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

jax.config.update("jax_enable_x64", True)


def gmm(case, alphas, means, icf, x):
    k, d = means.shape
    log_diagonals, lower = icf[:, :d], icf[:, d:]
    diagonals = jnp.exp(log_diagonals)
    numbers = jnp.concatenate([diagonals, lower], axis=1)
    q = jnp.zeros((k, d * d)).at[:, gmm_positions(d)].set(numbers, unique_indices=True).reshape(k, d, d)
    y = (x - means[:, None]) @ q.transpose(0, 2, 1)  # [k, n, d]
    weights = (alphas + log_diagonals.sum(1))[:, None]
    likelihood = jax.nn.logsumexp(weights - 0.5 * jnp.square(y).sum(2), axis=0).sum()
    prior = 0.5 * (jnp.square(diagonals).sum() + jnp.square(lower).sum()) + gmm_constant(case)
    return likelihood - len(x) * jax.nn.logsumexp(alphas) + prior


def rk(case, u, v):
    def laplacian(x):
        return jnp.concatenate([x[1:], x[:1]]) + jnp.concatenate([x[-1:], x[:-1]]) - 2 * x

    def slopes(u, v):
        reaction = u**2 * v
        slope_u = A + reaction - (B + 1) * u + DIFFUSION * laplacian(u)
        return slope_u, B * u - reaction + DIFFUSION * laplacian(v)

    def step(state, _):
        u, v = state
        u1, v1 = slopes(u, v)
        u2, v2 = slopes(u + STEP / 2 * u1, v + STEP / 2 * v1)
        u3, v3 = slopes(u + STEP / 2 * u2, v + STEP / 2 * v2)
        u4, v4 = slopes(u + STEP * u3, v + STEP * v3)
        return (u + STEP / 6 * (u1 + 2 * u2 + 2 * u3 + u4), v + STEP / 6 * (v1 + 2 * v2 + 2 * v3 + v4)), None

    (u, v), _ = lax.scan(step, (u, v), None, length=case["steps"])
    return jnp.sum(u**2) + jnp.sum(v**2)


def saddle(case, a, b):
    def f(a, b):
        return jnp.sum(a**2) - jnp.sum(b**2) + jnp.sum(a * b)

    def descend(slope, start):
        def body(state):
            x, _, count = state
            gradient = slope(x)
            return x - RATE * gradient, jnp.sum(gradient**2), count + 1

        def condition(state):
            _, squares, count = state
            return (squares > TOLERANCE**2) & (count < LONGEST)

        return lax.while_loop(condition, body, (start, jnp.inf, 0))[0]

    def highest(at):
        return descend(jax.grad(lambda x: -f(at, x)), b)

    a = descend(jax.jacfwd(lambda x: f(x, highest(x))), a)
    b = highest(a)
    return f(a, b), a, b


def kmeans(case, centres, points):
    def gradient(centres):
        def cost(centres):
            return jnp.square(points[:, None] - centres).sum(2).min(1).sum()

        value, slope = jax.value_and_grad(cost)(centres)
        return slope, value

    slope, diagonal, value = jax.jvp(gradient, (centres,), (jnp.ones_like(centres),), has_aux=True)
    return value, centres - slope / diagonal


def products(case, a, b):
    return 0.5 * jnp.sum(jnp.square(a @ b))


def product(case, a, b):
    return (a @ b,)


def lstm(case, w_x, w_h, bias, x):
    def cell(state, x):
        h, c = state
        i, f, g, o = jnp.split(x @ w_x + h @ w_h + bias, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((case["batch"], case["hidden"]), x.dtype)
    _, outputs = lax.scan(cell, (zeros, zeros), x)
    return jnp.mean(jnp.square(outputs))


def mlp(case, x, y, *parameters):
    def cost(parameters):
        h = x
        for layer in range(0, len(parameters), 2):
            h = (jax.nn.relu(h) if layer else h) @ parameters[layer] + parameters[layer + 1]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(h), y[:, None], 1))

    loss, gradients = jax.value_and_grad(cost)(parameters)
    return loss, *(p - LEARNING_RATE * g for p, g in zip(parameters, gradients, strict=True))


DIFFERENTIATED = {"gmm", "rk", "products", "lstm"}


def build(case: Case) -> Evaluation:
    parameters, data = ([jnp.asarray(array) for array in arrays] for arrays in problem(case))
    function: Callable[..., Any] = partial(globals()[case.function], case)
    if case.function == "mlp":
        return training(jax.jit(function, donate_argnums=range(2, 2 + len(parameters))), parameters, data)
    if case.function in DIFFERENTIATED:
        function = jax.value_and_grad(function, argnums=range(len(parameters)))
    jitted = jax.jit(function)

    def memory() -> dict[str, int]:
        analysis = jitted.lower(*parameters, *data).compile().memory_analysis()
        return {"memory": analysis.temp_size_in_bytes + analysis.output_size_in_bytes}

    return Evaluation(lambda: jax.block_until_ready(jitted(*parameters, *data)), jax.tree.leaves, memory)


def training(step: Callable[..., Any], parameters: list[jax.Array], data: list[jax.Array]) -> Evaluation:
    def run() -> float:
        nonlocal parameters
        loss, *parameters = step(*data, *parameters)
        return float(loss)

    return Evaluation(run, lambda loss: [loss, *parameters])


def run(asked: Asked) -> None:
    measure(asked, lambda: build(asked.case), {"jax": jax.__version__})


run(asked())
