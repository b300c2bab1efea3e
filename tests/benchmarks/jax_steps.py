"""JAX: the whole step in one jitted function whose parameters and state are donated."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from protocol import Task, first_parameters, measure, mnist, task, test_result
from workloads import Workload


def optimizer_of(workload: Workload) -> optax.GradientTransformation:
    match workload.optimizer:
        case "sgd":
            return optax.sgd(workload.learning_rate)
        case "adam":
            return optax.adam(workload.learning_rate)
    return optax.rmsprop(workload.learning_rate, decay=0.9, eps_in_sqrt=False)


def run(task: Task) -> None:
    workload = task.workload
    train_x, train_y, test_x, test_y = mnist(task.data)
    activation = getattr(jax.nn, workload.activation)
    optimizer = optimizer_of(workload)
    parameters = jax.tree.map(jnp.asarray, first_parameters(workload))
    state = optimizer.init(parameters)

    def model(parameters, x):
        for layer, (kernel, bias) in enumerate(parameters):
            x = x @ kernel + bias
            if workload.is_activated(layer):
                x = activation(x)
        return x

    def cost(parameters, x, y):
        out = model(parameters, x)
        if workload.reconstruct:
            return jnp.mean(jnp.square(out - x))
        return optax.softmax_cross_entropy_with_integer_labels(out, y).mean()

    def update(parameters, state, x, y):
        loss, gradients = jax.value_and_grad(cost)(parameters, x, y)
        changes, state = optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, changes), state, loss

    compiled = jax.jit(update, donate_argnums=(0, 1))

    def step(batch):
        nonlocal parameters, state
        parameters, state, loss = compiled(parameters, state, train_x[batch], train_y[batch])
        return float(loss)

    def result():
        return test_result(workload, np.asarray(model(parameters, test_x)), test_x, test_y)

    versions = {"jax": jax.__version__, "optax": optax.__version__, "numpy": np.__version__}
    measure(task, step, result, versions)


run(task())
