"""A bound: the matrix products of a step alone, in NumPy with `out=`; nothing is learned."""

from __future__ import annotations

import numpy as np
from protocol import Task, first_parameters, measure, task


def run(task: Task) -> None:
    size = task.workload.batch
    generator = np.random.default_rng(1)
    products = []
    for layer, (kernel, bias) in enumerate(first_parameters(task.workload)):
        x = generator.standard_normal((size, len(kernel)), np.float32)
        d = generator.standard_normal((size, len(bias)), np.float32)
        products += [(x, kernel, np.empty_like(d)), (x.T, d, np.empty_like(kernel))]
        if layer:  # nobody asks for the gradient of the images
            products.append((d, kernel.T, np.empty_like(x)))

    def step(_: np.ndarray) -> float:
        for a, b, out in products:
            np.matmul(a, b, out=out)
        return 0.0

    measure(task, step, None, {"numpy": np.__version__})


run(task())
