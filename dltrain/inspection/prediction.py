"""Writing what a trained model gives to a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dltrain.autodiff.spec import Array
from dltrain.errors import UsageError
from dltrain.files.atomic import write_atomically
from dltrain.runs.run import Run
from dltrain.task import Prediction

PICTURES_A_ROW = 10


def writer_for(run: Run, path: Path) -> Callable[[Array], None]:
    """What writes what `Run.predict` gives to a file, in the format that its name ends in.

    .npy holds what the model gives. Of a classifier, .csv and .json hold for each example its most probable
    class and all probabilities, of other models with one vector an example its numbers; of an autoencoder,
    .png shows the reconstructions, as grey pictures.

    Raises UsageError when there is no such format.
    """
    formats: dict[str, Callable[[Array], bytes]] = {}
    target, prediction = run.trained_on.target, run.network.prediction
    if target.is_input:
        what, scale = "reconstructions", run.config.dataset.input_scale(np.dtype(np.uint8))
        formats[".npy"] = _npy
        if len(run.trained_on.input_shape) == 2:
            formats[".png"] = lambda outputs: _png(outputs / scale)
    else:
        what = "classes" if prediction.chooses else prediction.several
        if len(target.output_shape) < 2:
            formats[".csv"] = lambda outputs: _csv(outputs, prediction)
            formats[".json"] = lambda outputs: _json(outputs, prediction)
        formats[".npy"] = _npy
    encode = formats.get(path.suffix)
    if encode is None:
        fix = f"give a file {' or '.join(formats)}"
        raise UsageError(f"unknown format for {what}", where=str(path), fix=fix)
    return lambda outputs: write_atomically(path, encode(outputs))


def _csv(outputs: Array, prediction: Prediction) -> bytes:
    outputs = outputs.reshape(len(outputs), -1)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    chosen = ["class"] if prediction.chooses else []
    rows.writerow([*chosen, *(f"{prediction.one}_{k}" for k in range(outputs.shape[1]))])
    rows.writerows([*(int(np.argmax(row)) for _ in chosen), *map(str, row)] for row in outputs)
    return text.getvalue().encode()


def _json(outputs: Array, prediction: Prediction) -> bytes:
    rows = [
        ({"class": int(np.argmax(row))} if prediction.chooses else {}) | {prediction.several: row.tolist()}
        for row in outputs.reshape(len(outputs), -1)
    ]
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
