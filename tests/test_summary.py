"""TensorBoard event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dltrain as dl
from dltrain.errors import StorageError, UsageError
from dltrain.summary import Writer


def read(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        sizes = {"scalars": 0, "images": 0, "histograms": 0}
        return EventAccumulator(str(folder), size_guidance=sizes).Reload()


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(folder).Scalars(tag)]


def test_curves_come_back(tmp_path: Path) -> None:
    with Writer(str(tmp_path / "logs" / "train")) as writer:
        writer.scalar("loss", 2.0, step=1)
        # Before close: a viewer sees it at once, and nothing is lost with the process.
        assert scalars(tmp_path / "logs" / "train", "loss") == [(1, 2.0)]
        writer.scalar("loss", np.float32(1.5), step=np.int64(2))
        writer.scalar("accuracy", 1, 2)
    assert scalars(tmp_path / "logs" / "train", "loss") == [(1, 2.0), (2, 1.5)]
    assert scalars(tmp_path / "logs" / "train", "accuracy") == [(2, 1.0)]


def test_a_file_never_takes_the_name_of_another(tmp_path: Path) -> None:
    for _ in range(3):
        Writer(tmp_path).close()
    os.remove(tmp_path / "events.out.tfevents.0000000001")
    Writer(tmp_path).close()
    assert sorted(os.listdir(tmp_path)) == [f"events.out.tfevents.000000000{number}" for number in (2, 3, 4)]


def test_what_is_not_finite_is_written(tmp_path: Path) -> None:
    with Writer(tmp_path) as writer:
        writer.scalar("loss", float("inf"), 1)
        writer.scalar("accuracy", float("nan"), 1)
    assert scalars(tmp_path, "loss") == [(1, float("inf"))]
    ((_, accuracy),) = scalars(tmp_path, "accuracy")
    assert np.isnan(accuracy)


# --- the graph ---


def test_the_graph_has_names_ops_inputs_and_shapes(tmp_path: Path) -> None:
    with dl.Graph() as graph:
        x = dl.placeholder("float32", ("batch", 784), name="x")
        with dl.name_scope("dense_1"):
            weights = dl.Variable(np.zeros((784, 10)), dtype="float32", name="weights")
            product = dl.matmul(x, weights)
        dl.sum(product, name="loss")
    with Writer(tmp_path) as writer:
        writer.graph(graph)
    nodes = read(tmp_path).Graph().node
    assert [(node.name, node.op, list(node.input)) for node in nodes] == [
        ("x", "Placeholder", []),
        ("dense_1/weights", "ReadVariable", []),
        ("dense_1/matmul", "Matmul", ["x", "dense_1/weights"]),
        ("loss", "Sum", ["dense_1/matmul"]),
    ]
    shapes = [node.attr["_output_shapes"].list.shape for node in nodes]
    assert [[dimension.size for dimension in shape.dim] for (shape,) in shapes] == [
        [-1, 784],
        [784, 10],
        [-1, 10],
        [],
    ]
    assert nodes[2].attr["shape"].s == b"('batch', 10)"
    assert nodes[3].attr["dtype"].s == b"float32"


# --- histograms ---


def histogram(folder: Path, tag: str) -> np.ndarray:
    """[buckets, 3] as TensorBoard shows it: left edge, right edge, count."""
    from tensorboard import data_compat
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.util import tensor_util

    (file,) = folder.iterdir()
    events = [Event.FromString(raw) for raw in RawEventFileLoader(str(file)).Load()]
    (value,) = (v for event in events for v in event.summary.value if v.tag == tag)
    assert read(folder).Tags()["histograms"] == [tag]
    return np.asarray(tensor_util.make_ndarray(data_compat.migrate_value(value).tensor))


def test_a_histogram_counts_every_value_once(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    with Writer(tmp_path) as writer:
        writer.histogram("weights", values, step=3)
    left, right, count = histogram(tmp_path, "weights").T
    assert len(count) == 30
    assert count.sum() == 1000
    assert (left[0], right[-1]) == (values.min(), values.max())
    np.testing.assert_array_equal(left[1:], right[:-1])
    below = [np.sum(values < edge) for edge in right[:-1]]
    np.testing.assert_allclose(np.cumsum(count)[:-1], below, atol=1)  # edges are rounded to float32
    (event,) = read(tmp_path).Histograms("weights")
    assert event.step == 3
    moments = (values.astype(np.float64).sum(), np.square(values.astype(np.float64)).sum())
    np.testing.assert_allclose((event.histogram_value.sum, event.histogram_value.sum_squares), moments)


@pytest.mark.parametrize("values", [[2.5, 2.5, 2.5], 2.5, [2], [True]])
def test_a_histogram_of_one_number(values: Any, tmp_path: Path) -> None:
    with Writer(tmp_path) as writer:
        writer.histogram("weights", values, step=1)
    number, count = np.max(values), np.size(values)
    assert histogram(tmp_path, "weights").tolist() == [[number, number, count]]


def test_what_has_no_histogram(tmp_path: Path) -> None:
    with Writer(tmp_path) as writer:
        with pytest.raises(UsageError, match="no histogram: w/b: one is not finite"):
            writer.histogram("w/b", [1.0, np.nan], 1)
        with pytest.raises(UsageError, match="no histogram: w/b: there are none"):
            writer.histogram("w/b", np.empty((0, 3)), 1)
    assert read(tmp_path).Tags()["histograms"] == []


# --- images ---


def decoded(folder: Path, tag: str) -> np.ndarray:
    (event,) = read(folder).Images(tag)
    image = np.asarray(Image.open(BytesIO(event.encoded_image_string)))
    assert (event.height, event.width) == image.shape[:2]
    return image


def test_images_come_back(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colour = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    with Writer(tmp_path) as writer:
        writer.image("grey", grey, 5)
        writer.image("colour", colour, 5)
    np.testing.assert_array_equal(decoded(tmp_path, "grey"), grey)
    np.testing.assert_array_equal(decoded(tmp_path, "colour"), colour)


def test_floats_are_shown_from_black_to_white_and_what_lies_beyond_as_the_nearer(tmp_path: Path) -> None:
    values = np.array([[0.0, 0.5, 1.0, -3.0, 7.0, np.nan, np.inf, -np.inf]], np.float32)
    with Writer(tmp_path) as writer:
        writer.image("floats", values, 5)
    assert decoded(tmp_path, "floats").tolist() == [[0, 128, 255, 0, 255, 0, 255, 0]]


@pytest.mark.parametrize(
    "image",
    [np.zeros(3), np.zeros((2, 2, 4)), np.zeros((2, 2), np.int64), np.zeros((0, 2)), np.zeros((2, 2, 3, 1))],
)
def test_what_is_no_picture(image: np.ndarray, tmp_path: Path) -> None:
    with Writer(tmp_path) as writer, pytest.raises(UsageError, match="not a picture: digits: it is "):
        writer.image("digits", image, 1)


# --- manners ---


def test_no_thread_no_warning_and_a_quick_exit(tmp_path: Path) -> None:
    program = (
        "import sys, threading\n"
        "from dltrain.summary import Writer\n"
        "assert 'tensorboardX' not in sys.modules\n"
        "writer = Writer(sys.argv[1])\n"
        "writer.scalar('loss', 1.0, 1)\n"
        "assert threading.active_count() == 1\n"
    )
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert scalars(tmp_path, "loss") == [(1, 1.0)]


def test_a_full_disk_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path / "logs")

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        with pytest.raises(StorageError, match=r"logs/events.out.*No space left on device"):
            writer.scalar("loss", 1.0, 1)
    writer.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create"):
        Writer(tmp_path / "file")
