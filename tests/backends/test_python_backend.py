"""A backend from outside the package trains the benchmark's four kinds of workload to NumPy's figures."""

import itertools

import numpy as np
import pytest
from backends.python_backend import Python

import dltrain as dl
from dltrain.errors import GraphError
from dltrain.optimizers import Adam, RmsProp, Sgd

WORKLOADS = {
    "softmax": ((8, 4), dl.sigmoid, Sgd(learning_rate=0.1)),
    "mlp-sgd": ((8, 6, 5, 4), dl.sigmoid, Sgd(learning_rate=0.1)),
    "mlp-adam": ((8, 6, 5, 4), dl.relu, Adam(learning_rate=0.01)),
    "autoencoder": ((8, 6, 3, 6, 8), dl.sigmoid, RmsProp(learning_rate=0.01)),
}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_workloads_come_to_the_figures_of_numpy(workload):
    sizes, activation, optimizer = WORKLOADS[workload]
    rng = np.random.default_rng(0)
    with dl.Graph() as graph:
        x, y = dl.placeholder("float32", ("batch", 8)), dl.placeholder("int64", ("batch",))
        h = x
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            bias = dl.Variable(np.zeros(outputs), dtype="float32")
            h = h @ dl.Variable(0.3 * rng.normal(size=(inputs, outputs)), dtype="float32") + bias
            h = activation(h) if layer < len(sizes) - 2 else h
        reconstructs = sizes[-1] == 8
        loss = dl.mean(dl.square(h - x) if reconstructs else dl.softmax_cross_entropy(h, y))
        step = [loss, optimizer.minimize(loss)]
    feeds = {x: rng.normal(size=(5, 8))} | ({} if reconstructs else {y: rng.integers(0, 4, 5)})
    sessions = [dl.Session(graph, kernels="numpy"), dl.Session(graph, backends=[Python()])]
    losses = [[session.run(step, feeds)[0] for _ in range(5)] for session in sessions]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)
    assert losses[0][-1] < losses[0][0]
    expected = sessions[0].state()
    for name, value in sessions[1].state().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)


def test_an_op_that_no_backend_computes_is_named():
    with dl.Graph() as graph:
        x = dl.Variable([1.0, 2.0])
        with pytest.raises(GraphError, match=r"no backend computes cumsum: .*NumPy"):
            dl.Session(graph, backends=[Python()]).run(dl.cumsum(x))
