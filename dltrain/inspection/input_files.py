"""Reading the inputs that a trained model is to be applied to."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format

from dltrain.autodiff.spec import Array
from dltrain.datasets import read_idx
from dltrain.datasets.npz import UNREADABLE
from dltrain.datasets.reading import require_file
from dltrain.errors import DataError, UsageError
from dltrain.files.storage_errors import storage_errors

ENDINGS = (".npy", ".png", ".idx", ".gz", "-ubyte")


def check_input_name(path: Path) -> None:
    """Raises UsageError when the file's name tells no format that can be read."""
    if not path.name.endswith(ENDINGS):
        fix = f"give a file whose name ends in {', '.join(ENDINGS)}"
        raise UsageError("unknown format of input", where=str(path), fix=fix)


def read_inputs(path: Path, input_shape: tuple[int, ...]) -> Array:
    """The examples in a file: uint8 or float32[examples, *input_shape].

    Arguments:
        path: .npy with one example or many; IDX, gzip-compressed or not; or .png with one picture. That
            becomes grey, by 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), and nothing else: it is not resized,
            and dark on light stays dark on light (MNIST's digits are light on dark).
        input_shape: what the model takes.

    Raises:
        DataError: the file is missing or damaged, or its examples are not what the model takes.
        StorageError: the file cannot be read.
    """
    require_file(path)
    # Warnings are of large pictures, and of arrays that Python 2 wrote, which are as good.
    with storage_errors(path, "cannot read the file"), warnings.catch_warnings(action="ignore"):
        if path.suffix == ".png":
            array = _read_png(path, input_shape)
        else:
            array = _read_npy(path) if path.suffix == ".npy" else read_idx(path)
    if array.shape == input_shape:
        array = array[np.newaxis]
    if array.shape[1:] != input_shape or not len(array):
        raise _other_shape(path, array.shape, input_shape)
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        why = f"they are {array.dtype.name}"
        raise DataError("inputs must be uint8 or floating", where=str(path), why=why, fix="convert them")
    with np.errstate(over="ignore", invalid="ignore"):  # invalid: signalling NaN
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        why = "some are nan, inf or too large"
        raise DataError("inputs must be finite in float32", where=str(path), why=why, fix="correct them")
    return array


def _read_npy(path: Path) -> Array:
    """As numpy.load; mapped first, which compares the size that the header promises with the file's."""
    try:
        mapped = npy_format.open_memmap(path, mode="r")
    except (*UNREADABLE, OverflowError, MemoryError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        fix = "save an array of numbers with numpy.save"
        raise DataError("damaged .npy file", where=str(path), why=why, fix=fix) from error
    more = path.stat().st_size - mapped.offset - mapped.nbytes
    if more:
        why, fix = f"{more} bytes follow the array", "save one array a file"
        raise DataError("damaged .npy file", where=str(path), why=why, fix=fix)
    return np.array(mapped)


def _read_png(path: Path, input_shape: tuple[int, ...]) -> Array:
    """One picture, of the model's size: what promises another is not decompressed."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.verify()  # the checksums, which reading the pixels passes over
        with Image.open(path, formats=["PNG"]) as picture:
            if (picture.height, picture.width) != input_shape:
                raise _other_shape(path, (picture.height, picture.width), input_shape)
            if picture.mode not in ("1", "L", "P", "RGB", "RGBA", "LA"):
                why, fix = f"its pixels are {picture.mode}", "save it with 8 bits"
                raise DataError("picture is not of 8 bits", where=str(path), why=why, fix=fix)
            if picture.has_transparency_data and np.array(picture.convert("RGBA"))[..., 3].min() < 255:
                fix = "flatten it on a background first"
                raise DataError("picture is transparent in parts", where=str(path), fix=fix)
            return np.array(picture.convert("RGB").convert("L"))
    except DataError:
        raise
    except Exception as error:  # whatever the library makes of a file from a stranger
        if isinstance(error, OSError) and error.errno:
            raise
        why, fix = str(error) or "its parts contradict each other", "save the picture as PNG again"
        raise DataError("damaged PNG file", where=str(path), why=why, fix=fix) from error


def _other_shape(path: Path, shape: tuple[int, ...], input_shape: tuple[int, ...]) -> DataError:
    found, taken = (" x ".join(map(str, sizes)) or "a single number" for sizes in (shape, input_shape))
    why, fix = f"they are {found}, but an example is {taken}", "crop, scale or reshape them first"
    return DataError("inputs do not fit the model", where=str(path), why=why, fix=fix)
