"""Nothing grows with the number of steps, epochs and saves: no memory, no open files, no graph."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from run_helpers import busy_config, parsed, write_data

from dltrain.autodiff import Graph, Variable, ops, placeholder
from dltrain.backends.c.compiler import find_compiler
from dltrain.execution import Session
from dltrain.execution.session import Kernels
from dltrain.optimizers import Adam
from dltrain.runs.directory import RunDirectory
from dltrain.runs.run import Run
from dltrain.training.records import EpochDone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MIB = 2**20


def resident() -> int:
    """Bytes of this process that are in memory, less what the allocator keeps of what was given back."""
    gc.collect()
    with suppress(AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def small_model(kernels: Kernels) -> tuple[Graph, Callable[[], float]]:
    """A perceptron of 3 layers with Adam, and a function that makes a step and gives the loss."""
    chance = np.random.default_rng(0)
    graph = Graph(seed=0)
    with graph:
        inputs, targets = placeholder("float32", ("batch", 4)), placeholder("float32", ("batch", 1))
        hidden = inputs
        for sizes in ((4, 8), (8, 8), (8, 1)):
            weights = Variable(chance.normal(0, 0.5, sizes).astype(np.float32), name="weights")
            hidden = ops.tanh(ops.matmul(hidden, weights))
        loss = ops.mean(ops.square(hidden - targets))
        updates = Adam(learning_rate=0.01).minimize(loss)
    session = Session(graph, kernels=kernels)
    feeds = {
        inputs: chance.normal(size=(16, 4)).astype(np.float32),
        targets: chance.uniform(size=(16, 1)).astype(np.float32),
    }
    return graph, lambda: session.run([loss, updates], feeds)[0]


@pytest.mark.parametrize(
    "steps", [50_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
@pytest.mark.parametrize("kernels", ["numpy", "native"])
def test_steps_of_a_session(kernels: Kernels, steps: int) -> None:
    if kernels == "native" and find_compiler() is None:
        pytest.skip("native kernels need a C compiler")
    graph, step = small_model(kernels)
    first = step()
    for _ in range(2000):
        step()
    memory, files, nodes = resident(), open_files(), len(graph.nodes)
    for _ in range(steps):
        last = step()
    assert last < first
    assert len(graph.nodes) == nodes
    assert open_files() == files
    assert resident() - memory < MIB


def test_epochs_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 epochs of training, evaluation, files and checkpoints, after 50 to warm up."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    text = busy_config(write_data(tmp_path), epochs=250)
    run = Run(parsed(text), kernels="numpy")
    with RunDirectory.create(tmp_path / "run") as directory, run.start(directory, source=text):
        seen: dict[int, tuple[int, set[str]]] = {}
        for record in run.records():
            if isinstance(record, EpochDone) and record.epoch in (50, 250):
                seen[record.epoch] = resident(), open_files()
    assert seen[250][1] == seen[50][1]
    assert seen[250][0] - seen[50][0] < MIB
    assert len(list((tmp_path / "run/checkpoints").glob("step-*"))) <= 4


def test_runs_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a run opens is closed at its end."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    text = busy_config(write_data(tmp_path), epochs=1)

    def train(number: int) -> None:
        run = Run(parsed(text), kernels="numpy")
        with RunDirectory.create(tmp_path / f"run-{number}") as directory, run.start(directory, source=text):
            list(run.records())

    for number in range(10):
        train(number)
    memory, files = resident(), open_files()
    for number in range(10, 40):
        train(number)
    assert open_files() == files
    assert resident() - memory < 2 * MIB
