"""A bound: the step as one writes it by hand in NumPy for speed.

Every array is allocated beforehand and every operation has `out=`; parameters, gradients and slots are one
flat vector each; the optimizer goes through them in blocks that stay in the cache. Slots are kept as sums,
not as averages, so that all constant factors are one number a step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from protocol import Task, first_parameters, measure, mnist, task, test_result
from workloads import Workload

BLOCK = 8192  # floats: five vectors of them fit a cache of 256 KiB


class Network:
    """The layers, forward and backward, for one batch size."""

    def __init__(self, workload: Workload, size: int) -> None:
        first = first_parameters(workload)
        self.workload = workload
        self.parameters = np.concatenate([array.ravel() for layer in first for array in layer])
        self.gradients = np.empty_like(self.parameters)
        self.kernels, self.biases = self._cut(self.parameters, first)
        self.kernel_gradients, self.bias_gradients = self._cut(self.gradients, first)
        self.values = [np.empty((size, width), np.float32) for width in workload.sizes]
        self.errors = [np.empty_like(value) for value in self.values]
        self.scratch = [np.empty_like(value) for value in self.values]
        self.masks = [np.empty(value.shape, bool) for value in self.values]
        self.labels = np.empty(size, np.int64)
        self._ones = np.ones(size, np.float32)
        self._rows = np.arange(size) * workload.sizes[-1]
        self._right = np.empty_like(self._rows)
        self._column = np.empty((size, 1), np.float32)

    @staticmethod
    def _cut(
        flat: np.ndarray, like: list[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Views of the flat vector: the kernels and the biases."""
        views, start = [], 0
        for array in (array for layer in like for array in layer):
            views.append(flat[start : start + array.size].reshape(array.shape))
            start += array.size
        return views[::2], views[1::2]

    def forward(self) -> None:
        for layer, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            z = self.values[layer + 1]
            np.matmul(self.values[layer], kernel, out=z)
            np.add(z, bias, out=z)
            if not self.workload.is_activated(layer):
                continue
            if self.workload.activation == "relu":
                np.maximum(z, 0, out=z)
            else:
                np.negative(z, out=z)
                np.exp(z, out=z)
                np.add(z, 1, out=z)
                np.reciprocal(z, out=z)

    def loss(self) -> float:
        """The mean loss; leaves its gradient in the last of `errors`."""
        return self._squared_error() if self.workload.reconstruct else self._cross_entropy()

    def _squared_error(self) -> float:
        d = self.errors[-1]
        np.subtract(self.values[-1], self.values[0], out=d)
        flat = d.reshape(-1)
        loss = float(flat @ flat) / d.size
        np.multiply(d, 2 / d.size, out=d)
        return loss

    def _cross_entropy(self) -> float:
        z, d, column, right = self.values[-1], self.errors[-1], self._column, self._right
        np.max(z, axis=1, keepdims=True, out=column)
        np.subtract(z, column, out=z)
        np.exp(z, out=d)
        np.sum(d, axis=1, keepdims=True, out=column)
        np.divide(d, column, out=d)
        np.add(self._rows, self.labels, out=right)
        np.log(column, out=column)
        loss = float(column.sum() - z.reshape(-1)[right].sum()) / len(z)
        d.reshape(-1)[right] -= 1
        np.multiply(d, 1 / len(d), out=d)
        return loss

    def backward(self) -> None:
        for layer in reversed(range(len(self.kernels))):
            d = self.errors[layer + 1]
            if self.workload.is_activated(layer):
                self._through_activation(layer + 1)
            np.matmul(self.values[layer].T, d, out=self.kernel_gradients[layer])
            np.matmul(self._ones, d, out=self.bias_gradients[layer])
            if layer:
                np.matmul(d, self.kernels[layer].T, out=self.errors[layer])

    def _through_activation(self, at: int) -> None:
        value, d, scratch = self.values[at], self.errors[at], self.scratch[at]
        if self.workload.activation == "relu":
            np.greater(value, 0, out=self.masks[at])
            np.multiply(d, self.masks[at], out=d)
        else:
            np.subtract(1, value, out=scratch)
            np.multiply(scratch, value, out=scratch)
            np.multiply(d, scratch, out=d)


class Updater:
    """The optimizer's step on the flat vectors of a network."""

    def __init__(self, network: Network) -> None:
        self.workload = network.workload
        self.vectors = (
            network.parameters,
            network.gradients,
            np.zeros_like(network.parameters),
            np.zeros_like(network.parameters),
        )
        self.scratch = np.empty(BLOCK, np.float32)
        self.count = 0

    def _blocks(self) -> Iterator[list[np.ndarray]]:
        size = len(self.vectors[0])
        for start in range(0, size, BLOCK):
            blocks = [vector[start : start + BLOCK] for vector in self.vectors]
            yield [*blocks, self.scratch[: len(blocks[0])]]

    def update(self) -> None:
        self.count += 1
        getattr(self, self.workload.optimizer)()

    def sgd(self) -> None:
        for p, g, _, _, t in self._blocks():
            np.multiply(g, self.workload.learning_rate, out=t)
            np.subtract(p, t, out=p)

    def adam(self, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        correction = ((1 - beta2**self.count) / (1 - beta2)) ** 0.5
        rate = self.workload.learning_rate * correction * (1 - beta1) / (1 - beta1**self.count)
        for p, g, m, v, t in self._blocks():
            np.multiply(m, beta1, out=m)
            np.add(m, g, out=m)
            np.multiply(v, beta2, out=v)
            np.multiply(g, g, out=t)
            np.add(v, t, out=v)
            np.sqrt(v, out=t)
            np.add(t, epsilon * correction, out=t)
            np.divide(m, t, out=t)
            np.multiply(t, rate, out=t)
            np.subtract(p, t, out=p)

    def rmsprop(self, decay: float = 0.9, epsilon: float = 1e-8) -> None:
        scale = (1 - decay) ** -0.5
        for p, g, v, _, t in self._blocks():
            np.multiply(v, decay, out=v)
            np.multiply(g, g, out=t)
            np.add(v, t, out=v)
            np.sqrt(v, out=t)
            np.add(t, epsilon * scale, out=t)
            np.divide(g, t, out=t)
            np.multiply(t, self.workload.learning_rate * scale, out=t)
            np.subtract(p, t, out=p)


def run(task: Task) -> None:
    train_images, train_labels, test_images, test_labels = mnist(task.data)
    network = Network(task.workload, task.workload.batch)
    updater = Updater(network)

    def step(batch: np.ndarray) -> float:
        train_images.take(batch, 0, network.values[0], "clip")
        train_labels.take(batch, 0, network.labels, "clip")
        network.forward()
        loss = network.loss()
        network.backward()
        updater.update()
        return loss

    def result() -> float:
        trained = Network(task.workload, len(test_images))
        trained.parameters[:] = network.parameters
        trained.values[0][:] = test_images
        trained.forward()
        return test_result(task.workload, trained.values[-1], test_images, test_labels)

    measure(task, step, result, {"numpy": np.__version__})


run(task())
