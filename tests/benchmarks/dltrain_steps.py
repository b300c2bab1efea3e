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
    splits = Mnist(root=task.data, validation_size=0).load().splits
    stored, classes = splits["train"].source.array, splits["train"].targets
    with dl.Graph() as graph:
        images = dl.placeholder("uint8", ("examples", 28, 28), "images")
        labels = dl.placeholder("int64", ("examples",), "labels")
        rows = dl.placeholder("int64", ("batch",), "rows")
        x = dl.cast(dl.reshape(dl.gather(images, rows), ("batch", 784)), "float32") * np.float32(1 / 255)
        activation = getattr(dl, workload.activation)
        h = x
        for layer, (kernel, bias) in enumerate(first_parameters(workload)):
            h = h @ dl.Variable(kernel, name=f"kernel_{layer}") + dl.Variable(bias, name=f"bias_{layer}")
            if workload.is_activated(layer):
                h = activation(h)
        costs = (
            dl.square(h - x) if workload.reconstruct else dl.softmax_cross_entropy(h, dl.gather(labels, rows))
        )
        loss = dl.mean(costs)
        optimizer: Optimizer = OPTIMIZERS[workload.optimizer](learning_rate=workload.learning_rate)
        updates = optimizer.minimize(loss)
    dl_session = session(graph, task.side)
    given = {images: stored} if workload.reconstruct else {images: stored, labels: classes}
    function = dl_session.make_callable([loss, updates], [*given, rows], require_finite=[loss])
    train = function.bind(given, batch=size)
    (batch_rows,) = train.inputs

    def step(batch: np.ndarray) -> float:
        batch_rows[...] = batch
        return train()[0]

    def result() -> float:
        x_test, y_test = splits["test"].arrays()
        x_test = x_test.reshape(-1, 784)
        return test_result(workload, dl_session.run(h, {x: x_test}), x_test, y_test)

    versions = {
        "dltrain": dl.__version__,
        "numpy": np.__version__,
        "blas": " ".join([*blas().values(), cpu()]),
    }
    measure(task, step, result, versions)


run(task())
