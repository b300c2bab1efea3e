"""`dltrain predict` with wrong inputs and outputs: one line, and no file is written."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from wrong_inputs import Refused, flipped

pytestmark = pytest.mark.usefixtures("two_runs")
TO_NUMPY = "save an array of numbers with numpy.save"


def zeros(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape, np.uint8)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (
            zeros(3, 5, 5),
            "inputs do not fit the model: in.npy: they are 3 x 5 x 5, but an example is 4 x 4; crop, ...",
        ),
        (
            zeros(3, 16),
            "inputs do not fit the model: in.npy: they are 3 x 16, but an example is 4 x 4; crop, ...",
        ),
        (zeros(0, 4, 4), "inputs do not fit the model: in.npy: they are 0 x 4 x 4, but ...; crop, ..."),
        (np.float32(1), "inputs do not fit the model: in.npy: they are a single number, but ...; crop, ..."),
        (
            zeros(3, 4, 4).astype(int),
            "inputs must be uint8 or floating: in.npy: they are int64; convert them",
        ),
        (
            np.full((1, 4, 4), np.nan),
            "inputs must be finite in float32: in.npy: some are nan, ...; correct them",
        ),
        (
            np.full((1, 4, 4), 1e300),
            "inputs must be finite in float32: in.npy: some are nan, ...; correct them",
        ),
        (
            np.full((1, 4, 4), 3e38, np.float32),
            "the model's output is not finite: example 0 of the inputs: its values reach 3e+38; ...",
        ),
        (np.array([{}]), f"damaged .npy file: in.npy: ...objects...; {TO_NUMPY}"),
    ],
)
def test_wrong_arrays(refused: Refused, array: Any, expected: str) -> None:
    np.save("in.npy", array)
    for output in ("out.csv", "out.json", "out.npy"):
        refused(3, expected, "predict", "mlp-1", "--input", "in.npy", "--output", output)
    refused(3, expected, "predict", "mlp-2", "--input", "in.npy", "--output", "out.png")


def test_an_array_that_lies(refused: Refused) -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999, 4, 4), }".ljust(117) + b"\n"
    Path("in.npy").write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + bytes(80))
    expected = f"damaged .npy file: in.npy: ...; {TO_NUMPY}"
    refused(3, expected, "predict", "mlp-1", "--input", "in.npy", "--output", "out.csv")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda content: b"", f"damaged .npy file: in.npy: ...; {TO_NUMPY}"),
        (lambda content: b"no array, by no means", f"damaged .npy file: in.npy: ...; {TO_NUMPY}"),
        (lambda content: content[:-1], f"damaged .npy file: in.npy: ...; {TO_NUMPY}"),
        (lambda content: content[:20], f"damaged .npy file: in.npy: ...; {TO_NUMPY}"),
        (lambda content: content + b"!", "damaged .npy file: in.npy: 1 bytes follow the array; save one ..."),
    ],
)
def test_damaged_arrays(refused: Refused, damage: Callable[[bytes], bytes], expected: str) -> None:
    np.save("in.npy", zeros(3, 4, 4))
    Path("in.npy").write_bytes(damage(Path("in.npy").read_bytes()))
    refused(3, expected, "predict", "mlp-1", "--input", "in.npy", "--output", "out.csv")


@pytest.mark.parametrize(
    ("picture", "damage", "expected"),
    [
        (zeros(28, 28), None, "inputs do not fit the model: in.png: they are 28 x 28, but ...; crop, ..."),
        (
            zeros(4, 4).astype(np.uint16),
            None,
            "picture is not of 8 bits: in.png: its pixels are I;16; save ...",
        ),
        (zeros(4, 4, 4), None, "picture is transparent in parts: in.png; flatten it on a background first"),
        (zeros(4, 4), lambda content: b"no picture", "damaged PNG file: in.png: ...; save the picture ..."),
        (zeros(4, 4), lambda content: content[:-8], "damaged PNG file: in.png: ...; save the picture ..."),
        (
            zeros(4, 4),
            lambda content: flipped(content, 45),
            "damaged PNG file: in.png: ...; save the picture ...",
        ),
    ],
)
def test_wrong_pictures(
    refused: Refused, picture: np.ndarray[Any, Any], damage: Callable[[bytes], bytes] | None, expected: str
) -> None:
    Image.fromarray(picture).save("in.png")
    if damage:
        Path("in.png").write_bytes(damage(Path("in.png").read_bytes()))
    refused(3, expected, "predict", "mlp-1", "--input", "in.png", "--output", "out.csv")


@pytest.mark.parametrize(
    ("source", "target", "code", "expected"),
    [
        (
            "none.npy",
            "out.csv",
            3,
            "no such file: none.npy; correct the path, which begins at the current folder",
        ),
        ("/none.npy", "out.csv", 3, "no such file: /none.npy; correct the path"),
        ("folder.npy", "out.csv", 3, "not a file: folder.npy; correct the path, ..."),
        (
            "damaged.idx",
            "out.csv",
            3,
            "damaged IDX file: damaged.idx: it ends inside its header; get the file again",
        ),
        (
            "c.yaml",
            "out.csv",
            2,
            "unknown format of input: c.yaml; give a file whose name ends in .npy, .png, ...",
        ),
        ("right.npy", "out.png", 2, "unknown format for classes: out.png; give a file .csv or .json or .npy"),
        ("right.npy", "out", 2, "unknown format for classes: out; give a file .csv or .json or .npy"),
        (
            "right.npy",
            "none/out.csv",
            7,
            "cannot write: none/out.csv: No such file or directory; check that the ...",
        ),
        (
            "right.npy",
            "c.yaml/out.csv",
            7,
            "cannot write: c.yaml/out.csv: Not a directory; choose a path that ...",
        ),
        ("right.npy", "folder.csv", 7, "cannot write: folder.csv: Is a directory; choose the name of a file"),
        ("right.npy", "/proc/out.csv", 7, "cannot write: /proc/out.csv: ...; check that the folder exists"),
    ],
)
def test_wrong_places(refused: Refused, source: str, target: str, code: int, expected: str) -> None:
    for folder in ("folder.npy", "folder.csv"):
        Path(folder).mkdir()
    Path("damaged.idx").write_bytes(b"\0\0\x08\x03")
    np.save("right.npy", zeros(2, 4, 4))
    refused(code, expected, "predict", "mlp-1", "--input", source, "--output", target)
