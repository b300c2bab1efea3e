"""The Python interface as a user writes it; `test_face.py` runs it and shows it to type checkers."""

from pathlib import Path

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
    score: dl.Function = session.compile(dl.Program(inputs=(x,), fetches=(dl.argmax(logits, axis=1),)))
    print(score(inputs)[0].shape)

try:
    dl.optimizers.Sgd(learning_rate=-1.0)
except dl.errors.ConfigError as error:
    print(error.what)
print(losses[0] > losses[-1], state["layer/W"].shape, slope is not None)

np.savez("data.npz", x_train=inputs, y_train=labels, x_test=inputs, y_test=labels)
Path("config.yaml").write_text("""
dataset: {name: npz, path: data.npz, validation_size: 12}
model: {name: mlp, hidden: [8]}
cost: cross_entropy
optimizer: adam
train: {epochs: 2, batch_size: 8}
""")
run = dl.fit("config.yaml", {"optimizer.learning_rate": 1e-2, "model.hidden": [4]})
curve: np.ndarray = run.metrics["validation"]["loss"]
accuracy = dl.load_run("latest").evaluate("test")["accuracy"]
images, targets = run.data.splits["train"].arrays()
for batch, _ in run.data.splits["train"].batches(8, epoch=1):
    print(batch.shape, run.predict(batch).shape)
    break
with dl.summary.Writer("logs") as writer:
    writer.scalar("accuracy", np.mean(accuracy), 1)
    writer.histogram("kernel", run.variables["mlp/dense/kernel"], 1)
    writer.graph(graph)
print(len(curve), 0 <= float(accuracy) <= 1, images.shape, targets.dtype)
