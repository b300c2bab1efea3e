"""Softmax regression on MNIST by gradient descent, every formula written out."""

import numpy as np

import dltrain as dl

EPOCHS, BATCH_SIZE, LEARNING_RATE = 10, 100, 0.5

data = dl.datasets.Mnist().load()
train, test = data.splits["train"], data.splits["test"]

# The graph: x and y are fed to each run, the session keeps W and b.
x = dl.placeholder("float32", ("batch", 28, 28), name="images")
y = dl.placeholder("int64", ("batch",), name="labels")
rng = np.random.default_rng(0)
W = dl.Variable(rng.normal(size=(784, 10)), dtype="float32", name="W")
b = dl.Variable(np.zeros(10), dtype="float32", name="b")

logits = dl.reshape(x, ("batch", 784)) @ W + b
probabilities = dl.softmax(logits)
# log(softmax(...)) takes its stable form, so that no probability of 0 does harm.
cost = dl.mean(-dl.sum(dl.one_hot(y, 10) * dl.log(probabilities), axis=1))
hits = dl.equal(dl.argmax(probabilities, axis=1), y)
accuracy = dl.mean(dl.cast(hits, "float32"))
train_step = dl.optimizers.Sgd(LEARNING_RATE).minimize(cost)

test_images, test_labels = test.arrays()
with dl.Session() as session, dl.summary.Writer("logs/softmax") as writer:
    writer.graph(dl.default_graph())
    for epoch in range(1, EPOCHS + 1):
        losses = []
        for images, labels in train.batches(BATCH_SIZE, epoch=epoch):
            loss, _ = session.run([cost, train_step], {x: images, y: labels})
            losses.append(loss)
        print(f"epoch {epoch}  cost {np.mean(losses):.4f}")
        writer.scalar("cost", np.mean(losses), epoch)
        writer.histogram("W", session.value(W), epoch)
    print(f"test accuracy {session.run(accuracy, {x: test_images, y: test_labels}):.2%}")
print("curves and graph: tensorboard --logdir logs")
