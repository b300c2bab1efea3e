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
# log(softmax(...)) is computed in its stable form, so that no probability of 0 does harm.
cost = dl.mean(-dl.sum(dl.one_hot(y, 10) * dl.log(probabilities), axes=1))
hits = dl.equal(dl.argmax(probabilities, axis=1), y)
accuracy = dl.mean(dl.cast(hits, "float32"))
train_step = dl.optimizers.Sgd(learning_rate=LEARNING_RATE).minimize(cost)

images, labels = np.empty((BATCH_SIZE, 28, 28), "float32"), np.empty(BATCH_SIZE, "int64")
test_images, test_labels = np.empty((len(test), 28, 28), "float32"), np.empty(len(test), "int64")
test.gather(np.arange(len(test)), inputs=test_images, targets=test_labels)

with dl.Session() as session:
    for epoch in range(1, EPOCHS + 1):
        order = dl.datasets.epoch_order(len(train), seed=0, epoch=epoch)
        losses = []
        for start in range(0, len(order), BATCH_SIZE):
            train.gather(order[start : start + BATCH_SIZE], inputs=images, targets=labels)
            loss, _ = session.run([cost, train_step], {x: images, y: labels})
            losses.append(loss)
        print(f"epoch {epoch}  cost {np.mean(losses):.4f}")
    print(f"test accuracy {session.run(accuracy, {x: test_images, y: test_labels}):.2%}")
