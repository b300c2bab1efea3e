"""What a Keras user writes for mlp-adam: two epochs, evaluated after each, and the test set in the end."""

import gzip
import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

DATA = Path(sys.argv[1])


def read(name, header):
    return np.frombuffer(gzip.open(DATA / f"{name}-ubyte.gz").read(), np.uint8)[header:]


def images(part):
    return read(f"{part}-images-idx3", 16).reshape(-1, 784).astype("float32") / 255


def labels(part):
    return read(f"{part}-labels-idx1", 8).astype("int64")


keras.utils.set_random_seed(0)
x, y = images("train"), labels("train")
model = keras.Sequential(
    [
        keras.Input((784,)),
        layers.Dense(256, activation="relu"),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
validation = (x[50_000:], y[50_000:])
model.fit(x[:50_000], y[:50_000], batch_size=128, epochs=2, validation_data=validation, verbose=2)
model.save_weights("model.weights.h5")
_, accuracy = model.evaluate(images("t10k"), labels("t10k"), batch_size=1000, verbose=0)
print(f"test accuracy {accuracy:.4f}")
