"""What every side is given, and how its steps are timed. Needs NumPy alone, so that every peer can use it."""

from __future__ import annotations

import gzip
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from workloads import WORKLOADS, Workload

WARM_UP = 50
EXAMPLES = 60_000


class Task(NamedTuple):
    """What a script of one side is asked to do, on its command line: SIDE WORKLOAD STEPS THREADS DATA."""

    side: str
    name: str
    workload: Workload
    steps: int
    threads: int
    data: Path


def task() -> Task:
    side, name, steps, threads, data = sys.argv[1:]
    return Task(side, name, WORKLOADS[name], int(steps), int(threads), Path(data))


def mnist(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images float32[60000, 784] from 0 to 1, labels int64[60000]; then the same of the 10,000."""

    def read(name: str, header: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((folder / f"{name}-ubyte.gz").read_bytes()), np.uint8)[header:]

    def images(part: str) -> np.ndarray:
        return read(f"{part}-images-idx3", 16).reshape(-1, 784).astype(np.float32) / np.float32(255)

    def labels(part: str) -> np.ndarray:
        return read(f"{part}-labels-idx1", 8).astype(np.int64)

    return images("train"), labels("train"), images("t10k"), labels("t10k")


def first_parameters(workload: Workload) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernel float32[inputs, outputs] and bias float32[outputs] of each layer, the same for all sides."""
    generator = np.random.default_rng(0)
    parameters = []
    for inputs, outputs in zip(workload.sizes, workload.sizes[1:], strict=False):
        limit = (6 / (inputs + outputs)) ** 0.5
        kernel = generator.uniform(-limit, limit, (inputs, outputs)).astype(np.float32)
        parameters.append((kernel, np.zeros(outputs, np.float32)))
    return parameters


def batches(size: int, count: int) -> list[np.ndarray]:
    """The examples of each step, int64[size]: whole batches of one epoch's order after the other's."""
    generator = np.random.default_rng(0)
    drawn: list[np.ndarray] = []
    while len(drawn) < count:
        order = generator.permutation(EXAMPLES)
        drawn += [order[start : start + size] for start in range(0, EXAMPLES - size + 1, size)]
    return drawn[:count]


def test_result(workload: Workload, outputs: np.ndarray, images: np.ndarray, labels: np.ndarray) -> float:
    """The mean squared error of reconstructions, or the accuracy of scores, on the test set."""
    if workload.reconstruct:
        return float(np.square(outputs - images).mean())
    return float((outputs.argmax(axis=1) == labels).mean())


def measure(
    task: Task,
    step: Callable[[Any], float],
    result: Callable[[], float] | None,
    versions: dict[str, str],
    place: Callable[[np.ndarray], Any] = lambda batch: batch,
) -> None:
    """Times the steps and prints one line of JSON.

    In it is the loss of the last step of the warm-up: all sides have made the same steps from the same first
    parameters, so that it tells whether they do the same.

    Arguments:
        step: trains on the examples at the given positions and returns the loss as a number.
        result: on the test set, after training; None for a bound that trains nothing.
        place: what puts drawn positions where the side wants them; not timed.
    """
    drawn = [place(batch) for batch in batches(task.workload.batch, WARM_UP + task.steps)]
    for batch in drawn[:WARM_UP]:
        loss = step(batch)
    start = perf_counter()
    for batch in drawn[WARM_UP:]:
        step(batch)
    seconds = perf_counter() - start
    report = {
        "side": task.side,
        "workload": task.name,
        "steps": task.steps,
        "microseconds": seconds / task.steps * 1e6,
        "loss": loss,
        "result": result() if result else None,
        "versions": {"python": platform.python_version()} | versions,
    }
    print(json.dumps(report), flush=True)
