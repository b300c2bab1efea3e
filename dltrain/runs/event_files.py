"""TensorBoard event files: scalars, the computational graph, images.

An event file is a sequence of `Event` messages (tensorflow/core/util/event.proto) in TFRecord framing: length
as uint64, its masked CRC-32C, the message, its masked CRC-32C, all little-endian. tensorboardX has messages
and checksum; its writer is not used, because it writes from a thread in the background.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dltrain.files.append_only import AppendOnlyFile
from dltrain.files.storage_errors import storage_errors
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
        from tensorboardX.proto.event_pb2 import SessionLog

        with storage_errors(folder, "cannot create"):
            folder.mkdir(parents=True, exist_ok=True)
            # TensorBoard reads the files of a folder in the order of their names.
            last = max((int(path.suffix[1:]) for path in folder.glob(_NAME + "[0-9]" * 10)), default=0)
        self._file = AppendOnlyFile(folder / f"{_NAME}{last + 1:010d}", new=True)
        self._pending = bytearray()
        self._add(file_version="brain.Event:2")
        if start_step > 0:  # TensorBoard then forgets what earlier files say of this step and later ones
            self._add(step=start_step + 1, session_log=SessionLog(status=SessionLog.START))
        self.flush()

    def add_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a number a tag."""
        from tensorboardX.proto.summary_pb2 import Summary

        entries = [Summary.Value(tag=tag, simple_value=float(value)) for tag, value in values.items()]
        if entries:
            self._add(step=step, summary=Summary(value=entries))

    def add_image(self, step: int, tag: str, image: np.ndarray) -> None:
        """Adds an image, uint8[height, width] in grey or uint8[height, width, 3] in red, green, blue."""
        from PIL import Image
        from tensorboardX.proto.summary_pb2 import Summary

        png = BytesIO()
        Image.fromarray(image).save(png, "PNG")
        encoded = Summary.Image(
            height=image.shape[0],
            width=image.shape[1],
            colorspace=1 if image.ndim == 2 else 3,
            encoded_image_string=png.getvalue(),
        )
        self._add(step=step, summary=Summary(value=[Summary.Value(tag=tag, image=encoded)]))

    def add_graph(self, nodes: Iterable[Node]) -> None:
        """Adds the computational graph of `nodes`, which are all that it has."""
        from tensorboardX.proto.attr_value_pb2 import AttrValue
        from tensorboardX.proto.graph_pb2 import GraphDef
        from tensorboardX.proto.node_def_pb2 import NodeDef
        from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboardX.proto.versions_pb2 import VersionDef

        graph = GraphDef(versions=VersionDef(producer=22))
        for node in nodes:
            # A named dimension has no size yet, which is written as -1.
            sizes = [size if isinstance(size, int) else -1 for size in node.shape]
            shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])
            attributes = {
                "_output_shapes": AttrValue(list=AttrValue.ListValue(shape=[shape])),
                "shape": AttrValue(s=str(tuple(node.shape)).encode()),
                "dtype": AttrValue(s=str(node.dtype).encode()),
            }
            names = [source.name for source in node.inputs]
            graph.node.append(
                NodeDef(name=node.name, op=type(node.op).__name__, input=names, attr=attributes)
            )
        self._add(graph_def=graph.SerializeToString())

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

    def _add(self, **fields: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import masked_crc32c

        message = Event(wall_time=time.time(), **fields).SerializeToString()
        length = len(message).to_bytes(8, "little")
        for part in (length, message):
            self._pending += part + masked_crc32c(part).to_bytes(4, "little")


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
