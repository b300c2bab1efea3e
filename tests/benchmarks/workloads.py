"""The workloads whose step time is measured. No NumPy here: the benchmark's own process stays small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Workload:
    """A perceptron on MNIST; biases start at 0, kernels are Glorot uniform, from one seed for all sides.

    Attributes:
        sizes: of the layers, from the input on.
        activation: of every layer but the last; of the last one too where the input is reconstructed.
        optimizer: Adam with betas 0.9 and 0.999; RMSProp with decay 0.9; epsilon 1e-8.
        steps: how many are timed, unless told otherwise.
        reconstruct: the target is the input, the cost mean squared error; else the label, cross entropy.
        bar: what the result on the test set must beat for the side to count as having learned: at least this
            accuracy, or at most this error.
    """

    sizes: tuple[int, ...]
    activation: Literal["relu", "sigmoid"]
    optimizer: Literal["sgd", "adam", "rmsprop"]
    learning_rate: float
    batch: int
    steps: int
    bar: float
    reconstruct: bool = False

    def is_activated(self, layer: int) -> bool:
        """Whether the activation follows this layer, counted from 0."""
        return self.reconstruct or layer < len(self.sizes) - 2

    def has_learned(self, result: float) -> bool:
        return result <= self.bar if self.reconstruct else result >= self.bar


WORKLOADS = {
    "softmax": Workload((784, 10), "sigmoid", "sgd", 0.5, 128, 2000, bar=0.88),
    "mlp-sgd": Workload((784, 256, 128, 10), "sigmoid", "sgd", 0.5, 128, 2000, bar=0.9),
    "mlp-adam": Workload((784, 256, 128, 10), "relu", "adam", 1e-3, 128, 2000, bar=0.95),
    "autoencoder": Workload(
        (784, 256, 64, 256, 784), "sigmoid", "rmsprop", 0.01, 256, 1000, bar=0.04, reconstruct=True
    ),
}
