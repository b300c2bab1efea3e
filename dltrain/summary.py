"""TensorBoard event files: scalars, histograms, images, and the graph.

An event file is a sequence of `Event` messages (tensorflow/core/util/event.proto) in TFRecord framing: length
as uint64, its masked CRC-32C, the message, its masked CRC-32C, all little-endian. tensorboardX has messages
and checksum; its writer is not used, because it writes from a thread in the background.
"""

from __future__ import annotations

import re
import time
from io import BytesIO
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dltrain.autodiff import Graph
from dltrain.errors import UsageError
from dltrain.files.append_only import AppendOnlyFile
from dltrain.files.storage_errors import storage_errors

_NAME = "events.out.tfevents."
_BUCKETS = 30


class Writer:
    """A new event file in `folder`, behind those that are there; what is added is written at once.

        with dl.summary.Writer("logs") as writer:
            writer.graph(dl.default_graph())
            writer.scalar("loss", 0.5, step=1)

    Then `tensorboard --logdir logs` shows it.

    Arguments:
        folder: made if it is not there.
        start_step: where training is resumed: what earlier files of the folder say of later steps no longer
            counts; 0 if it is not.

    Raises:
        StorageError: the file cannot be made, or (by every method) written.
    """

    def __init__(self, folder: str | Path, start_step: int = 0) -> None:
        from tensorboardX.proto.event_pb2 import SessionLog

        folder = Path(folder)
        with storage_errors(folder, "cannot create"):
            folder.mkdir(parents=True, exist_ok=True)
            # TensorBoard reads the files of a folder in the order of their names.
            names = (path.name.removeprefix(_NAME) for path in folder.glob(f"{_NAME}*"))
            last = max((int(name) for name in names if re.fullmatch("[0-9]{10,18}", name)), default=0)
        self._file = AppendOnlyFile(folder / f"{_NAME}{last + 1:010d}", new=True)
        self._add(file_version="brain.Event:2")
        if start_step > 0:  # TensorBoard then forgets what earlier files say of this step and later ones
            self._add(step=start_step + 1, session_log=SessionLog(status=SessionLog.START))

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def scalar(self, tag: str, value: SupportsFloat, step: int) -> None:
        """Adds a number, a point of the curve `tag`."""
        self._add_summary(tag, step, simple_value=float(value))

    def histogram(self, tag: str, values: ArrayLike, step: int) -> None:
        """Adds how many of `values`, an array of any shape, lie in each of 30 equal parts of their range.

        Raises:
            UsageError: there are no values, or one is not finite.
        """
        from tensorboardX.proto.summary_pb2 import HistogramProto

        flat = np.asarray(values, np.float64).ravel()
        if not (flat.size and np.isfinite(flat).all()):
            why = "one is not finite" if flat.size else "there are none"
            raise UsageError("these values have no histogram", where=tag, why=why)
        low, high = float(flat.min()), float(flat.max())
        counts, edges = np.histogram(flat, _BUCKETS if low < high else 1)
        histogram = HistogramProto(
            min=low,
            max=high,
            num=flat.size,
            sum=float(flat.sum()),
            sum_squares=float(flat @ flat),
            bucket_limit=edges[1:].tolist(),
            bucket=counts.tolist(),
        )
        self._add_summary(tag, step, histo=histogram)

    def image(self, tag: str, image: NDArray[Any], step: int) -> None:
        """Adds a picture.

        Arguments:
            image: [height, width] in grey, or [height, width, 3] in red, green and blue; uint8, or floats of
                which 0 is black and 1 is white; what lies beyond is shown as the nearer one, nan as black.

        Raises:
            UsageError: it has another shape or dtype.
        """
        from PIL import Image
        from tensorboardX.proto.summary_pb2 import Summary

        if np.issubdtype(image.dtype, np.floating):
            shown = np.nan_to_num(image, nan=0.0, posinf=1.0, neginf=0.0)
            image = np.rint(np.clip(shown, 0.0, 1.0) * 255.0).astype(np.uint8)
        if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)) or image.ndim < 2 or not image.size:
            raise UsageError(
                "not a picture",
                where=tag,
                why=f"it is {image.dtype}{list(image.shape)}",
                fix="give uint8 or floats, [height, width] or [height, width, 3]",
            )
        png = BytesIO()
        Image.fromarray(image).save(png, "PNG")
        encoded = Summary.Image(
            height=image.shape[0],
            width=image.shape[1],
            colorspace=1 if image.ndim == 2 else 3,
            encoded_image_string=png.getvalue(),
        )
        self._add_summary(tag, step, image=encoded)

    def graph(self, graph: Graph) -> None:
        """Adds a computational graph, as it is now."""
        from tensorboardX.proto.attr_value_pb2 import AttrValue
        from tensorboardX.proto.graph_pb2 import GraphDef
        from tensorboardX.proto.node_def_pb2 import NodeDef
        from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboardX.proto.versions_pb2 import VersionDef

        definition = GraphDef(versions=VersionDef(producer=22))
        for node in graph.nodes:
            # A named dimension has no size yet, which is written as -1.
            shapes = [
                TensorShapeProto(
                    dim=[
                        TensorShapeProto.Dim(size=size if isinstance(size, int) else -1)
                        for size in output.shape
                    ]
                )
                for output in node.outputs
            ]
            attributes = {
                "_output_shapes": AttrValue(list=AttrValue.ListValue(shape=shapes)),
                "shape": AttrValue(s=", ".join(str(output.shape) for output in node.outputs).encode()),
                "dtype": AttrValue(s=", ".join(output.dtype.name for output in node.outputs).encode()),
            }
            names = [tensor.name for tensor in node.inputs]
            definition.node.append(
                NodeDef(name=node.name, op=type(node.op).__name__, input=names, attr=attributes)
            )
        self._add(graph_def=definition.SerializeToString())

    def close(self) -> None:
        """Closes the file; closing twice is harmless."""
        self._file.close()

    def _add_summary(self, tag: str, step: int, **value: Any) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        self._add(step=int(step), summary=Summary(value=[Summary.Value(tag=tag, **value)]))

    def _add(self, **fields: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import masked_crc32c

        message = Event(wall_time=time.time(), **fields).SerializeToString()
        length = len(message).to_bytes(8, "little")
        checked = (part + masked_crc32c(part).to_bytes(4, "little") for part in (length, message))
        self._file.append(b"".join(checked))
