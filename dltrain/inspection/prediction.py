"""Applying a trained model, and writing what it gives to a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dltrain.autodiff.spec import Array
from dltrain.errors import DataError, UsageError
from dltrain.files.atomic import write_atomically
from dltrain.runs.trained_run import TrainedRun
from dltrain.training.evaluation import batches_of

PICTURES_A_ROW = 10


def predict(run: TrainedRun, inputs: Array) -> Array:
    """What the model gives: probabilities, float32[examples, classes], or reconstructions.

    Arguments:
        inputs: [examples, *input_shape], uint8 or float32. They are scaled as the run's data set scales
            values of their dtype: for MNIST, uint8 becomes 0 .. 1, and float32 stays as it is.

    Raises DataError when inputs are so large that what the model gives is not finite.
    """
    network = run.network
    scale = np.float32(run.config.dataset.input_scale(inputs.dtype))
    function = run.session.make_callable(network.evaluation.output, [network.inputs])
    batches = batches_of(np.arange(len(inputs)), run.config.train.evaluation_batch_size)
    with np.errstate(over="ignore"):
        outputs = np.concatenate([function(inputs[index] * scale) for index in batches])
    finite = np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)
    if not finite.all():
        example = int(np.argmin(finite))
        raise DataError(
            "the model's output is not finite",
            where=f"example {example} of the inputs",
            why=f"its values reach {np.abs(inputs[example]).max():.3g}",
            fix="scale the inputs as those that the model was trained on",
        )
    return outputs


def writer_for(run: TrainedRun, path: Path) -> Callable[[Array], None]:
    """What writes `predict`'s result to a file, in the format that its name ends in.

    Of a classifier, .csv and .json hold for each example its most probable class and all probabilities, .npy
    the probabilities; of an autoencoder, .npy holds the reconstructions, .png shows them, as grey pictures.

    Raises UsageError when there is no such format.
    """
    if run.classes is not None:
        formats = {".csv": _csv, ".json": _json, ".npy": _npy}
    else:
        formats = {".npy": _npy}
        if len(run.input_shape) == 2:
            formats[".png"] = lambda outputs: _png(
                outputs / run.config.dataset.input_scale(np.dtype(np.uint8))
            )
    encode = formats.get(path.suffix)
    if encode is None:
        what = "classes" if run.classes is not None else "reconstructions"
        raise UsageError(
            f"unknown format for {what}", where=str(path), fix=f"give a file {' or '.join(formats)}"
        )
    return lambda outputs: write_atomically(path, encode(outputs))


def _csv(probabilities: Array) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["class", *(f"probability_{k}" for k in range(probabilities.shape[1]))])
    rows.writerows([int(np.argmax(row)), *map(str, row)] for row in probabilities)
    return text.getvalue().encode()


def _json(probabilities: Array) -> bytes:
    rows = [{"class": int(np.argmax(row)), "probabilities": row.tolist()} for row in probabilities]
    return json.dumps(rows, indent=1, allow_nan=False).encode() + b"\n"


def _npy(outputs: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, outputs, allow_pickle=False)
    return file.getvalue()


def _png(pictures: Array) -> bytes:
    """The pictures, [count, height, width] of 0 .. 255, in rows, filled up with black."""
    from PIL import Image

    count, height, width = pictures.shape
    columns = min(count, PICTURES_A_ROW)
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, height, width), np.uint8)
    cells[:count] = np.rint(np.clip(pictures, 0, 255))
    sheet = cells.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG")
    return file.getvalue()
