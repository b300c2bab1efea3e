"""Event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dltrain.errors import StorageError
from dltrain.runs.event_files import EventFile, EventFiles, reconstruction_grid
from dltrain.training.records import EpochDone


def read(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
        return accumulator.Reload()


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(folder).Scalars(tag)]


def epoch(number: int, loss: float) -> EpochDone:
    return EpochDone(
        step=number * 10,
        epoch=number,
        train={"loss": loss, "accuracy": 0.5},
        validation={"loss": loss / 2, "accuracy": 0.25},
        learning_rate=0.125,
        seconds=1.0,
        examples_per_second=1.0,
    )


def test_train_and_validation_overlay(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    files.write_epoch(epoch(1, 2.0))
    files.write_epoch(epoch(2, 1.0))
    # Before close: a viewer sees each epoch when it ends.
    assert scalars(tmp_path / "train", "loss") == [(10, 2.0), (20, 1.0)]
    assert scalars(tmp_path / "validation", "loss") == [(10, 1.0), (20, 0.5)]
    assert scalars(tmp_path / "train", "learning_rate") == [(10, 0.125), (20, 0.125)]
    assert sorted(read(tmp_path / "train").Tags()["scalars"]) == ["accuracy", "learning_rate", "loss"]
    assert sorted(read(tmp_path / "validation").Tags()["scalars"]) == ["accuracy", "loss"]
    files.close()


def test_what_came_after_the_resumed_checkpoint_is_forgotten(tmp_path: Path) -> None:
    first = EventFiles(tmp_path)
    for number in (1, 2, 3, 4):
        first.write_epoch(epoch(number, 2.0))
    first.close()
    with next((tmp_path / "train").iterdir()).open("ab") as file:
        file.write(b"\x10\0\0\0")  # killed in the midst of a record
    second = EventFiles(tmp_path, start_step=20)
    second.write_epoch(epoch(3, 1.0))
    second.close()
    assert scalars(tmp_path / "train", "loss") == [(10, 2.0), (20, 2.0), (30, 1.0)]
    assert scalars(tmp_path / "validation", "loss") == [(10, 1.0), (20, 1.0), (30, 0.5)]
    third = EventFiles(tmp_path, start_step=30)
    third.close()
    assert scalars(tmp_path / "train", "loss") == [(10, 2.0), (20, 2.0), (30, 1.0)]


def test_a_file_never_takes_the_name_of_another(tmp_path: Path) -> None:
    for _ in range(3):
        EventFile(tmp_path).close()
    os.remove(tmp_path / "events.out.tfevents.0000000001")
    EventFile(tmp_path).close()
    assert sorted(os.listdir(tmp_path)) == [f"events.out.tfevents.000000000{number}" for number in (2, 3, 4)]


def test_what_is_not_finite_is_written(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.add_scalars(1, {"loss": float("inf"), "accuracy": float("nan")})
    file.close()
    assert scalars(tmp_path, "loss") == [(1, float("inf"))]
    ((_, accuracy),) = scalars(tmp_path, "accuracy")
    assert np.isnan(accuracy)


# --- the graph ---


class Placeholder:
    pass


class MatMul:
    pass


@dataclass
class Node:
    name: str
    op: object
    inputs: list[Node]
    shape: tuple[int | str, ...]
    dtype: str = "float32"


def test_the_graph_has_names_ops_inputs_and_shapes(tmp_path: Path) -> None:
    x = Node("x", Placeholder(), [], ("batch", 784))
    weights = Node("dense_1/weights", Placeholder(), [], (784, 10))
    product = Node("dense_1/matmul", MatMul(), [x, weights], ("batch", 10))
    loss = Node("cost/loss", MatMul(), [product, product], (), "float64")
    file = EventFile(tmp_path)
    file.add_graph([x, weights, product, loss])
    file.close()
    graph = read(tmp_path).Graph()
    assert [(node.name, node.op, list(node.input)) for node in graph.node] == [
        ("x", "Placeholder", []),
        ("dense_1/weights", "Placeholder", []),
        ("dense_1/matmul", "MatMul", ["x", "dense_1/weights"]),
        ("cost/loss", "MatMul", ["dense_1/matmul", "dense_1/matmul"]),
    ]
    shapes = [node.attr["_output_shapes"].list.shape for node in graph.node]
    assert [[dimension.size for dimension in shape.dim] for (shape,) in shapes] == [
        [-1, 784],
        [784, 10],
        [-1, 10],
        [],
    ]
    assert graph.node[2].attr["shape"].s == b"('batch', 10)"
    assert graph.node[3].attr["dtype"].s == b"float64"


# --- images ---


def decoded(folder: Path, tag: str) -> np.ndarray:
    (event,) = read(folder).Images(tag)
    image = np.asarray(Image.open(BytesIO(event.encoded_image_string)))
    assert (event.height, event.width) == image.shape[:2]
    return image


def test_images_come_back(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colour = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    file = EventFile(tmp_path)
    file.add_image(5, "grey", grey)
    file.add_image(5, "colour", colour)
    file.close()
    np.testing.assert_array_equal(decoded(tmp_path, "grey"), grey)
    np.testing.assert_array_equal(decoded(tmp_path, "colour"), colour)


def test_inputs_stand_above_their_reconstructions() -> None:
    inputs = np.stack([np.full((2, 3), 0.0), np.full((2, 3), 1.0)]).astype(np.float32)
    reconstructions = np.stack([np.full((2, 3), 0.5), np.full((2, 3), 0.2)]).astype(np.float32)
    grid = reconstruction_grid(inputs, reconstructions)
    assert (grid.shape, grid.dtype) == ((4, 6), np.uint8)
    assert grid[0].tolist() == grid[1].tolist() == [0, 0, 0, 255, 255, 255]
    assert grid[2].tolist() == grid[3].tolist() == [128, 128, 128, 51, 51, 51]
    assert reconstruction_grid(np.zeros((5, 2, 3, 3)), np.zeros((5, 2, 3, 3))).shape == (4, 15, 3)


def test_values_beyond_black_and_white() -> None:
    values = np.array([[[-3.0, 7.0, np.nan, np.inf, -np.inf]]], np.float32)
    assert reconstruction_grid(values, values)[0].tolist() == [0, 255, 0, 255, 0]


# --- manners ---


def test_no_thread_no_warning_and_a_quick_exit(tmp_path: Path) -> None:
    program = (
        "import sys, threading, pathlib\n"
        "from dltrain.runs.event_files import EventFile\n"
        "assert 'tensorboardX' not in sys.modules\n"
        "file = EventFile(pathlib.Path(sys.argv[1]))\n"
        "file.add_scalars(1, {'loss': 1.0}); file.flush()\n"
        "assert threading.active_count() == 1\n"
    )
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert scalars(tmp_path, "loss") == [(1, 1.0)]


def test_a_full_disk_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = EventFiles(tmp_path)

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        with pytest.raises(StorageError, match=r"train/events.out.*No space left on device"):
            files.write_epoch(epoch(1, 1.0))
    files.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create"):
        EventFile(tmp_path / "file")
