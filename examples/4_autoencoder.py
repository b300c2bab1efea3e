"""An autoencoder 784-256-64-256-784 on MNIST, by RMSProp, with inputs and reconstructions as a picture."""

import numpy as np
from PIL import Image

import dltrain as dl

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 256, 0.01

data = dl.datasets.Mnist(target="input").load()
train, test = data.splits["train"], data.splits["test"]
rng = np.random.default_rng(0)


def dense(x: dl.Tensor, inputs: int, units: int, name: str) -> dl.Tensor:
    with dl.name_scope(name):
        W = dl.Variable(rng.normal(size=(inputs, units)), dtype="float32", name="W")
        b = dl.Variable(rng.normal(size=units), dtype="float32", name="b")
        return dl.sigmoid(x @ W + b)


x = dl.placeholder("float32", ("batch", 28, 28), name="images")
flat = dl.reshape(x, ("batch", 784))
code = dense(dense(flat, 784, 256, "encoder1"), 256, 64, "encoder2")
reconstruction = dense(dense(code, 64, 256, "decoder1"), 256, 784, "decoder2")
cost = dl.mean(dl.square(flat - reconstruction))
train_step = dl.optimizers.RmsProp(LEARNING_RATE).minimize(cost)

shown, _ = test.take(np.arange(10))
with dl.Session() as session, dl.summary.Writer("logs/autoencoder") as writer:
    writer.graph(dl.default_graph())
    step = session.make_callable([cost, train_step], [x])
    for epoch in range(1, EPOCHS + 1):
        losses = [step(images)[0] for images, _ in train.batches(BATCH_SIZE, epoch=epoch)]
        print(f"epoch {epoch}  cost {np.mean(losses):.5f}")
        writer.scalar("cost", np.mean(losses), epoch)
        rebuilt = session.run(reconstruction, {x: shown}).reshape(10, 28, 28)
        picture = np.vstack([np.hstack(list(shown)), np.hstack(list(rebuilt))])
        writer.image("reconstruction", picture, epoch)
        Image.fromarray((picture * 255).astype("uint8")).resize((1120, 224)).save("autoencoder.png")
print("autoencoder.png: ten test images, and below them what the autoencoder makes of them")
print("the same after each epoch: tensorboard --logdir logs")
