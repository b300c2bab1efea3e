"""A perceptron 784-256-128-10 with sigmoids on MNIST, by gradient descent."""

import numpy as np

import dltrain as dl

EPOCHS, BATCH_SIZE, LEARNING_RATE = 10, 100, 0.5

data = dl.datasets.Mnist().load()
train, test = data.splits["train"], data.splits["test"]
rng = np.random.default_rng(0)


def dense(x: dl.Tensor, inputs: int, units: int, name: str) -> dl.Tensor:
    """x W + b, with W drawn from a normal distribution of standard deviation 1, as in the course."""
    with dl.name_scope(name):
        W = dl.Variable(rng.normal(size=(inputs, units)), dtype="float32", name="W")
        b = dl.Variable(np.zeros(units), dtype="float32", name="b")
        return x @ W + b


x = dl.placeholder("float32", ("batch", 28, 28), name="images")
y = dl.placeholder("int64", ("batch",), name="labels")
hidden1 = dl.sigmoid(dense(dl.reshape(x, ("batch", 784)), 784, 256, "hidden1"))
hidden2 = dl.sigmoid(dense(hidden1, 256, 128, "hidden2"))
logits = dense(hidden2, 128, 10, "output")
cost = dl.mean(dl.softmax_cross_entropy(logits, y))
accuracy = dl.mean(dl.cast(dl.equal(dl.argmax(logits, axis=1), y), "float32"))

# minimize(cost) is these two steps:
optimizer = dl.optimizers.Sgd(LEARNING_RATE)
gradients = optimizer.compute_gradients(cost)
train_step = optimizer.apply_gradients(gradients)

test_images, test_labels = test.arrays()
with dl.Session() as session, dl.summary.Writer("logs/perceptron") as writer:
    writer.graph(dl.default_graph())
    step = session.make_callable([cost, train_step], [x, y])  # compiled once: faster than session.run
    for epoch in range(1, EPOCHS + 1):
        losses = [step(images, labels)[0] for images, labels in train.batches(BATCH_SIZE, epoch=epoch)]
        print(f"epoch {epoch}  cost {np.mean(losses):.4f}")
        writer.scalar("cost", np.mean(losses), epoch)
        for _, variable in gradients:
            writer.histogram(variable.name, session.value(variable), epoch)
    print(f"test accuracy {session.run(accuracy, {x: test_images, y: test_labels}):.2%}")
print("curves, histograms and graph: tensorboard --logdir logs")
