"""dltrain: the graph written by hand on its Python API, one compiled function a step."""

from __future__ import annotations

import numpy as np
from protocol import Task, first_parameters, measure, task, test_result

import dltrain as dl
from dltrain.datasets import Mnist
from dltrain.optimizers import Adam, Optimizer, RmsProp, Sgd
from dltrain.runs.environment import blas, cpu

OPTIMIZERS = {"sgd": Sgd, "adam": Adam, "rmsprop": RmsProp}


def session(graph: dl.Graph, side: str) -> dl.Session:
    kernels = side.removeprefix("dltrain-")
    try:
        return dl.Session(graph, kernels=kernels)
    except TypeError:  # a version of dltrain that has NumPy's kernels alone
        if kernels != "numpy":
            raise SystemExit("this dltrain has no native kernels") from None
        return dl.Session(graph)
    except dl.DltrainError as error:
        raise SystemExit(str(error)) from None


def run(task: Task) -> None:
    workload, size = task.workload, task.workload.batch
    with dl.Graph() as graph:
        x = dl.placeholder("float32", ("batch", workload.sizes[0]), "x")
        y = dl.placeholder("int64", ("batch",), "y")
        activation = getattr(dl, workload.activation)
        h = x
        for layer, (kernel, bias) in enumerate(first_parameters(workload)):
            h = h @ dl.Variable(kernel, name=f"kernel_{layer}") + dl.Variable(bias, name=f"bias_{layer}")
            if workload.is_activated(layer):
                h = activation(h)
        loss = dl.mean(dl.square(h - x) if workload.reconstruct else dl.softmax_cross_entropy(h, y))
        optimizer: Optimizer = OPTIMIZERS[workload.optimizer](learning_rate=workload.learning_rate)
        updates = optimizer.minimize(loss)
    dl_session = session(graph, task.side)
    inputs = [x] if workload.reconstruct else [x, y]
    train = dl_session.make_callable([loss, updates], inputs, require_finite=[loss]).bind(batch=size)
    splits = Mnist(root=task.data, validation_size=0).load().splits
    images = train.inputs[0].reshape(size, 28, 28)
    labels = None if workload.reconstruct else train.inputs[1]

    def step(batch: np.ndarray) -> float:
        splits["train"].gather(batch, inputs=images, targets=labels, take_rows=dl_session.take_rows)
        return train()[0]

    def result() -> float:
        count = len(splits["test"])
        x_test, y_test = np.empty((count, 28, 28), np.float32), np.empty(count, np.int64)
        splits["test"].gather(np.arange(count), inputs=x_test, targets=y_test)
        x_test = x_test.reshape(count, -1)
        return test_result(workload, dl_session.run(h, {x: x_test}), x_test, y_test)

    versions = {
        "dltrain": dl.__version__,
        "numpy": np.__version__,
        "blas": " ".join([*blas().values(), cpu()]),
    }
    measure(task, step, result, versions)


run(task())
