"""The Python interface as a user writes it; `test_face.py` runs it and shows it to type checkers."""

import numpy as np

import dltrain as dl

rng = np.random.default_rng(0)
inputs, labels = rng.normal(size=(60, 4)).astype("float32"), np.arange(60) % 3

graph = dl.Graph()
with graph:
    x = dl.placeholder("float32", ("batch", 4), name="x")
    y = dl.placeholder("int64", ("batch",), name="y")
    with dl.name_scope("layer"):
        W = dl.Variable(np.zeros((4, 3)), dtype="float32", name="W")
        b = dl.Variable(np.zeros(3), dtype="float32", name="b")
    logits: dl.Tensor = x @ W + b
    loss = dl.mean(dl.softmax_cross_entropy(logits, y))
    (slope,) = dl.gradients(loss, [W])
    train: dl.Updates = dl.optimizers.Adam(1e-2, schedule=dl.optimizers.Cosine()).minimize(
        loss, total_steps=100
    )

with dl.Session(graph, kernels="numpy") as session:
    step = session.make_callable([loss, train], [x, y])
    losses = [step(inputs, labels)[0] for _ in range(100)]
    state = session.state()

try:
    dl.optimizers.Sgd(learning_rate=-1.0)
except dl.errors.ConfigError as error:
    print(error.what)
print(losses[0] > losses[-1], state["layer/W"].shape, slope is not None)
