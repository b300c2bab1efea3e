"""TensorBoard event files: scalars, the computational graph, images.

An event file is a sequence of `Event` messages in TFRecord framing: length as uint64, its masked CRC-32C, the
message, its masked CRC-32C, all little-endian. The messages, whose fields have the numbers given here, are
described in tensorflow/core: util/event.proto, and framework/ summary, graph, node_def, attr_value,
tensor_shape and versions .proto.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dltrain.training.append_only_file import AppendOnlyFile
from dltrain.training.atomic_files import storage_errors
from dltrain.training.crc32c import masked_crc32c
from dltrain.training.protobuf import content, double, integer, single
from dltrain.training.records import EpochDone

_NAME = "events.out.tfevents."


class Node(Protocol):
    """What the graph needs to know of a node: a tensor of `dltrain.autodiff` is one."""

    @property
    def name(self) -> str: ...  # with scopes, such as "dense_1/add"
    @property
    def op(self) -> object: ...  # shown by the name of its class
    @property
    def inputs(self) -> Iterable[Node]: ...
    @property
    def shape(self) -> tuple[int | str, ...]: ...
    @property
    def dtype(self) -> Any: ...


class EventFiles:
    """The event files of a run: `train` and `validation` below one folder, with equal tags that overlay.

    Arguments:
        folder: the run's `tensorboard/`.
        start_step: the step of the checkpoint that is resumed, whose later events no longer count; 0 if none.

    Raises StorageError when a file cannot be written.
    """

    def __init__(self, folder: Path, start_step: int = 0) -> None:
        self.train = EventFile(folder / "train", start_step)
        self.validation = EventFile(folder / "validation", start_step)

    def write_epoch(self, record: EpochDone) -> None:
        """Adds an epoch's figures, and flushes."""
        self.train.add_scalars(record.step, {**record.train, "learning_rate": record.learning_rate})
        self.validation.add_scalars(record.step, record.validation)
        self.flush()

    def flush(self) -> None:
        self.train.flush()
        self.validation.flush()

    def close(self) -> None:
        self.train.close()
        self.validation.close()


class EventFile:
    """A new event file in `folder`, behind those that are there; kept in memory up to `flush`."""

    def __init__(self, folder: Path, start_step: int = 0) -> None:
        with storage_errors(folder, "cannot create"):
            folder.mkdir(parents=True, exist_ok=True)
            # TensorBoard reads the files of a folder in the order of their names.
            last = max((int(path.suffix[1:]) for path in folder.glob(_NAME + "[0-9]" * 10)), default=0)
        self._file = AppendOnlyFile(folder / f"{_NAME}{last + 1:010d}", new=True)
        self._pending = bytearray()
        self._add(content(3, "brain.Event:2"))  # file_version
        if start_step > 0:  # TensorBoard then forgets what earlier files say of this step and later ones
            start = integer(1, 1)  # status: START
            self._add(integer(2, start_step + 1) + content(7, start))  # step, session_log
        self.flush()

    def add_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a number a tag."""
        if values:  # each: tag, simple_value
            self._add_summary(step, [content(1, tag) + single(2, value) for tag, value in values.items()])

    def add_image(self, step: int, tag: str, image: np.ndarray) -> None:
        """Adds an image, uint8[height, width] in grey or uint8[height, width, 3] in red, green, blue."""
        from PIL import Image

        encoded = BytesIO()
        Image.fromarray(image).save(encoded, "PNG")
        height, width = image.shape[:2]
        colorspace = 1 if image.ndim == 2 else 3
        picture = integer(1, height) + integer(2, width) + integer(3, colorspace)
        picture += content(4, encoded.getvalue())  # encoded_image_string
        self._add_summary(step, [content(1, tag) + content(4, picture)])  # tag, image

    def add_graph(self, nodes: Iterable[Node]) -> None:
        """Adds the computational graph of `nodes`, which are all that it has."""
        graph = b"".join(content(1, _node_def(node)) for node in nodes)
        versions = integer(1, 22)  # producer
        self._add(content(4, graph + content(4, versions)))  # graph_def

    def flush(self) -> None:
        """Hands what was added to the operating system."""
        self._file.append(bytes(self._pending))
        self._pending.clear()

    def close(self) -> None:
        """Flushes and closes the file."""
        try:
            self.flush()
        finally:
            self._file.close()

    def _add_summary(self, step: int, values: Iterable[bytes]) -> None:
        summary = b"".join(content(1, value) for value in values)
        self._add(integer(2, step) + content(5, summary))  # step, summary

    def _add(self, fields: bytes) -> None:
        message = double(1, time.time()) + fields  # wall_time
        length = len(message).to_bytes(8, "little")
        for part in (length, message):
            self._pending += part + masked_crc32c(part).to_bytes(4, "little")


def _node_def(node: Node) -> bytes:
    """A `NodeDef`: name, op, inputs, attributes."""
    # A named dimension has no size yet, which is written as -1.
    sizes = [size if isinstance(size, int) else -1 for size in node.shape]
    shape = b"".join(content(2, integer(1, size)) for size in sizes)  # a TensorShapeProto
    attributes = {
        "_output_shapes": content(1, content(7, shape)),  # list, of one shape
        "shape": content(2, str(tuple(node.shape))),  # s
        "dtype": content(2, str(node.dtype)),
    }
    return (
        content(1, node.name)
        + content(2, type(node.op).__name__)
        + b"".join(content(3, source.name) for source in node.inputs)
        + b"".join(content(5, content(1, key) + content(2, value)) for key, value in attributes.items())
    )


def reconstruction_grid(inputs: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """One image of `inputs` in a row above their `reconstructions`.

    Arguments:
        inputs, reconstructions: [count, height, width] or [count, height, width, 3]; 0 is black, 1 is white,
            what lies beyond or is not a number is shown as the nearer of them, or as black.

    Returns:
        uint8[2 * height, count * width] (or [..., 3]).
    """
    rows = [np.concatenate(list(images), axis=1) for images in (inputs, reconstructions)]
    values = np.nan_to_num(np.concatenate(rows, axis=0), nan=0.0, posinf=1.0, neginf=0.0)
    grid: np.ndarray = np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
    return grid
