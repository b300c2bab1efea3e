"""Wrong data sets: exit 3, one line that names the file, nothing written, no memory taken for lies."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wrong_inputs import Refused, config, flipped

Arrays = dict[str, Any]
AGAIN = "save it again with numpy.savez"


def with_labels(change: Callable[[Any], Any], part: str = "train") -> Callable[[Arrays], Arrays]:
    return lambda arrays: {f"y_{part}": change(arrays[f"y_{part}"])}


def with_inputs(change: Callable[[Any], Any], *parts: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {f"x_{part}": change(arrays[f"x_{part}"]) for part in parts or ("train", "test")}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            with_labels(lambda y: y[:-1]),
            "inputs and labels differ in number: y_train in data.npz: 49 labels for 50 ...",
        ),
        (
            with_labels(lambda y: y - 1),
            "label out of range: y_train in data.npz: a label is -1; number the classes ...",
        ),
        (
            with_labels(lambda y: y + 5, "test"),
            "label out of range: y_test in data.npz: a label is 7, but the classes are 0 to 2; ...",
        ),
        (
            with_labels(lambda y: y + 2**40),
            "label out of range: y_train in data.npz: a label is 109951162777...; number the ...",
        ),
        (
            with_labels(lambda y: y.astype(np.uint64) + 2**63),
            "label out of range: y_train in data.npz: a label is 922...; ...",
        ),
        (
            with_labels(lambda y: y.astype(float)),
            "labels must be one integer an example: y_train in data.npz: it holds 50 of float64; give ...",
        ),
        (
            with_labels(lambda y: np.eye(3, dtype=int)[y]),
            "labels must be one integer an example: y_train in data.npz: it holds 50 x 3 of int64; give ...",
        ),
        (
            with_labels(lambda y: y.astype(str)),
            "an array of <U21, not of numbers: y_train in data.npz; save its values as integers or floats",
        ),
        (
            with_labels(lambda y: np.array([{}] * 50)),
            "an array of object, not of numbers: y_train in data.npz; save its values as integers or floats",
        ),
        (
            with_labels(lambda y: y[0]),
            f"damaged .npz file: data.npz: y_train: it is empty or no list of examples: ...; {AGAIN}",
        ),
        (
            with_inputs(lambda x: x[:0], "train"),
            f"damaged .npz file: data.npz: x_train: it is empty or no list of examples: ...; {AGAIN}",
        ),
        (
            with_inputs(lambda x: x[:, :3], "test"),
            "training and test inputs differ: x_test in data.npz: an example is 3 x 4 of uint8, ...; ...",
        ),
        (
            with_inputs(lambda x: x / 255, "test"),
            "training and test inputs differ: x_test in data.npz: an example is 4 x 4 of float64, ...; ...",
        ),
        (
            with_inputs(lambda x: x.astype(np.int16)),
            "inputs must be uint8 or floating: x_train in data.npz: they are int16; convert them",
        ),
        (
            with_inputs(lambda x: x[:, 0, 0]),
            "inputs must have a dimension for the examples and ...: x_train in data.npz: it holds ...; ...",
        ),
        (
            with_inputs(lambda x: np.where(x > 250, np.nan, x)),
            "input that is not finite in float32: x_train in data.npz: in example ...; correct or remove ...",
        ),
        (
            with_inputs(lambda x: x * 1e300),
            "input that is not finite in float32: x_train in data.npz: in example 0; correct or remove ...",
        ),
    ],
)
def test_wrong_arrays(refused: Refused, change: Callable[[Arrays], Arrays], expected: str) -> None:
    arrays = dict(np.load("data.npz"))
    np.savez("data.npz", **(arrays | change(arrays)))
    for command in ("fit", "validate"):
        refused(3, expected, command, "c.yaml")


def test_a_missing_array(refused: Refused) -> None:
    arrays = dict(np.load("data.npz"))
    del arrays["y_test"]
    np.savez("data.npz", **arrays)
    expected = "no array y_test: data.npz: it holds x_train, y_train, x_test; save one as y_test"
    refused(3, expected, "fit", "c.yaml")


def test_a_scale_that_makes_inputs_infinite(refused: Refused) -> None:
    arrays = dict(np.load("data.npz"))
    np.savez("data.npz", **(arrays | {name: arrays[name] * 1e10 for name in ("x_train", "x_test")}))
    Path("c.yaml").write_text(config("dataset: {name: npz, path: data.npz, scale: 1e30}"))
    expected = "scale is too large for the inputs: c.yaml:2:38 (dataset.scale): it is 1e+30, ...; lower it"
    refused(2, expected, "fit", "c.yaml")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda content: b"", "x_train: File is not a zip file"),
        (lambda content: content[: len(content) // 2], "x_train: File is not a zip file"),
        (lambda content: flipped(content, 300), "x_train: Bad CRC-32 for file 'x_train.npy'"),
        (lambda content: b"PK\x03\x04" + bytes(200), "x_train: File is not a zip file"),
    ],
)
def test_a_damaged_npz_file(refused: Refused, damage: Callable[[bytes], bytes], why: str) -> None:
    Path("data.npz").write_bytes(damage(Path("data.npz").read_bytes()))
    refused(3, f"damaged .npz file: data.npz: {why}; {AGAIN}", "fit", "c.yaml")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "{name: npz, path: none.npz}",
            "no such file: none.npz; correct the path, which begins at the current ...",
        ),
        ("{name: npz, path: ../none.npz}", "no such file: ../none.npz; correct the path, ..."),
        ("{name: npz, path: .}", "not a file: .; correct the path, which begins at the current folder"),
        ("mnist", "no MNIST data: data/mnist: no such folder; run `dltrain download-mnist --dir data/mnist`"),
        (
            "{name: mnist, root: .}",
            "no MNIST data: .: no train-images-idx3-ubyte.gz in it; run `dltrain download-mnist --dir .`",
        ),
    ],
)
def test_no_data_there(refused: Refused, line: str, expected: str) -> None:
    Path("c.yaml").write_text(config(f"dataset: {line}"))
    for command in ("fit", "validate"):
        refused(3, expected, command, "c.yaml")


def idx(array: np.ndarray[Any, Any]) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def promising(*sizes: int) -> Callable[[bytes], bytes]:
    """Another header before the same bytes."""
    return lambda content: (
        bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + content[16:]
    )


def packed(damage: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """gzip-compressed after the damage."""
    return lambda content: gzip.compress(damage(content), mtime=0)


def in_package(damage: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """gzip-compressed before the damage."""
    return lambda content: damage(gzip.compress(content, mtime=0))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda content: b"", "it ends inside its header"),
        (lambda content: content[:9], "it ends inside its header"),
        (lambda content: content[:-1], "its header promises 50 x 4 x 4 of uint8, 800 bytes, more than ..."),
        (
            lambda content: content + b"!",
            "its header promises 50 x 4 x 4 of uint8, 800 bytes, but more follows",
        ),
        (lambda content: b"<html>404</html>", "an IDX file does not begin with the bytes 3c68746d"),
        (lambda content: b"\0\0\x07" + content[3:], "an IDX file does not begin with the bytes 00000703"),
        (lambda content: b"\0\0\x08\0" + content[4:], "its header gives 0 dimensions, not 1 to 8"),
        (
            promising(2**32 - 1, 2**32 - 1, 2**32 - 1),
            "its header promises 4294967295 x ..., more than a file ...",
        ),
        (
            promising(2**31, 4, 4),
            "its header promises 2147483648 x 4 x 4 of uint8, 34359738368 bytes, more than ...",
        ),
        (promising(0, 4, 4), "it is empty: its header promises 0 x 4 x 4 of uint8, 0 bytes"),
        (
            packed(promising(2**31, 4, 4)),
            "its header promises 2147483648 x 4 x 4 of uint8, ..., more than a file ...",
        ),
        (packed(lambda content: content[:-1]), "it ends after 799 of the 800 bytes that its header promises"),
        (
            packed(lambda content: content + b"!"),
            "its header promises 50 x 4 x 4 of uint8, 800 bytes, but more ...",
        ),
        (
            packed(lambda content: content + bytes(2**24)),
            "its header promises 50 x 4 x 4 of uint8, ..., but more ...",
        ),
        (in_package(lambda content: content[:-9]), "the compressed data ends too early"),
        (
            in_package(lambda content: flipped(content, -6)),
            "the compressed data is damaged (CRC check failed ...",
        ),
        (in_package(lambda content: flipped(content, 60)), "the compressed data is damaged (..."),
        (
            in_package(lambda content: content + b"!"),
            "the compressed data is damaged (Not a gzipped file ...",
        ),
    ],
)
def test_a_damaged_idx_file(refused: Refused, damage: Callable[[bytes], bytes], why: str) -> None:
    arrays = np.load("data.npz")
    for name in ("y_train", "x_test", "y_test"):
        Path(name).write_bytes(idx(arrays[name]))
    Path("x_train").write_bytes(damage(idx(arrays["x_train"])))
    Path("c.yaml").write_text(
        config(
            "dataset: {name: idx, train_images: x_train, train_labels: y_train, "
            "test_images: x_test, test_labels: y_test}"
        )
    )
    tracemalloc.start()
    refused(3, f"damaged IDX file: x_train: {why}; get the file again", "fit", "c.yaml")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


def test_an_npz_header_that_lies(refused: Refused) -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999, 4, 4), }".ljust(117) + b"\n"
    with zipfile.ZipFile("data.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        content = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + bytes(800)
        archive.writestr("x_train.npy", content)
    tracemalloc.start()
    why = "x_train: its header promises 9999999999 x 4 x 4 of uint8, ... bytes, but it cannot ..."
    refused(3, f"damaged .npz file: data.npz: {why}; {AGAIN}", "fit", "c.yaml")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


@pytest.mark.parametrize(
    ("swapped", "expected"),
    [
        (
            "train_labels: y_test",
            "inputs and labels differ in number: y_test: 23 labels for 50 inputs in x_train; ...",
        ),
        (
            "train_labels: x_train",
            "labels must be one integer an example: x_train: it holds 50 x 4 x 4 of uint8; ...",
        ),
        (
            "train_images: y_train",
            "inputs must have a dimension for the examples and ...: y_train: it holds 50 of ...",
        ),
    ],
)
def test_idx_files_that_do_not_fit(refused: Refused, swapped: str, expected: str) -> None:
    arrays = np.load("data.npz")
    for name in arrays:
        Path(name).write_bytes(idx(arrays[name]))
    keys = {
        "train_images": "x_train",
        "train_labels": "y_train",
        "test_images": "x_test",
        "test_labels": "y_test",
    }
    keys |= dict([swapped.split(": ")])
    Path("c.yaml").write_text(
        config(f"dataset: {{name: idx, {', '.join(f'{k}: {v}' for k, v in keys.items())}}}")
    )
    refused(3, expected, "fit", "c.yaml")


def test_idx_without_labels(refused: Refused) -> None:
    Path("c.yaml").write_text(config("dataset: {name: idx, train_images: a, test_images: b, test_labels: c}"))
    expected = "train_labels is missing: c.yaml:2:10; name the file, or set 'target: input'"
    refused(2, expected, "fit", "c.yaml")
