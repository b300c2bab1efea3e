"""The readers of files that may come from anyone: each as a function of the bytes of one file.

`TARGETS` is used by the tests, which change valid files with hypothesis, and by `with_atheris.py`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from reliability.fuzz import repair, runs
from run_helpers import autoencoder_config, busy_config, softmax_config, write_data

from dltrain import datasets
from dltrain.config import apply_overrides, dump, load_document, parse, parse_document, to_yaml
from dltrain.datasets import Idx, Npz
from dltrain.errors import DltrainError
from dltrain.inspection.input_files import read_inputs
from dltrain.training.run_config import RunConfig

PICTURES = np.arange(96, dtype=np.uint8).reshape(6, 4, 4)
CONFIGS = Path(__file__).parents[3] / "configs"


@dataclass(frozen=True)
class Target:
    """
    Attributes:
        seeds: valid contents, given a folder to work in.
        read: makes the content a file in that folder and has dltrain read it.
        json: the contents are JSON objects.
    """

    read: Callable[[Path, bytes], object]
    seeds: Callable[[Path], list[bytes]] = field(repr=False)
    json: bool = False


def written(path: Path, content: bytes) -> Path:
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return path


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# --- data sets ---


def idx(array: np.ndarray) -> bytes:
    code = {"u1": 8, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def idx_seeds(folder: Path) -> list[bytes]:
    return [idx(PICTURES), idx(PICTURES.astype("f4")), idx(PICTURES[:, 0].astype("f8"))]


def read_idx(folder: Path, content: bytes) -> object:
    path = written(folder / "images", content)
    return Idx(train_images=path, test_images=path, target="input").load()


def read_labels(folder: Path, content: bytes) -> object:
    path = written(folder / "labels", content)
    images = written(folder / "images", idx(PICTURES))
    return Idx(train_images=images, train_labels=path, test_images=images, test_labels=path).load()


def kept_seeds(folder: Path) -> list[bytes]:
    """What is kept of a compressed file, see `decompressed.py`."""
    compressed = written(folder / "kept.gz", repair.gzipped(idx(PICTURES)))
    datasets.read_idx(compressed, keep_decompressed=True)
    return [(folder / ".cache/kept.gz.decompressed").read_bytes()]


def read_kept(folder: Path, content: bytes) -> None:
    written(folder / ".cache/kept.gz.decompressed", content)
    array = datasets.read_idx(folder / "kept.gz", keep_decompressed=True)
    np.testing.assert_array_equal(array, PICTURES)


def npz_seeds(folder: Path) -> list[bytes]:
    path = write_data(folder, train=6, test=3)
    stored = path.read_bytes()
    np.savez_compressed(path, **np.load(path))
    return [stored, path.read_bytes()]


def read_npz(folder: Path, content: bytes) -> object:
    return Npz(path=written(folder / "data.npz", content), validation_size=0).load()


def npy_seeds(folder: Path) -> list[bytes]:
    arrays = [PICTURES, np.asfortranarray(PICTURES.astype("<f8")), PICTURES.astype(">f4")]
    return [npy(array) for array in arrays]


def read_npz_inputs(folder: Path, content: bytes) -> object:
    labels = npy(np.zeros(6, np.int64))
    arrays = {"x_train": content, "y_train": labels, "x_test": content, "y_test": labels}
    return read_npz(folder, repair.zipped(arrays))


def label_seeds(folder: Path) -> list[bytes]:
    return [npy(np.arange(6) % 3), npy(np.arange(6, dtype=np.uint8))]


def read_npz_labels(folder: Path, content: bytes) -> object:
    inputs = npy(PICTURES)
    return read_npz(
        folder,
        repair.zipped({"x_train": inputs, "y_train": content, "x_test": inputs, "y_test": content}),
    )


def read_npz_targets(folder: Path, content: bytes) -> object:
    """The same array as targets of the other kinds."""
    inputs = npy(PICTURES)
    path = written(
        folder / "data.npz",
        repair.zipped({"x_train": inputs, "y_train": content, "x_test": inputs, "y_test": content}),
    )
    kinds: tuple[Any, ...] = ("numbers", "multi_label", "positions")
    errors = []
    for kind in kinds:
        try:
            Npz(path=path, validation_size=0, target=kind).load()
        except DltrainError as error:
            errors.append(error)
    if len(errors) == len(kinds):
        raise errors[0]
    return errors


# --- inputs of predict ---


def read_npy(folder: Path, content: bytes) -> object:
    return read_inputs(written(folder / "in.npy", content), (4, 4))


def png_seeds(folder: Path) -> list[bytes]:
    grey = Image.fromarray(PICTURES[0])
    pictures = [grey, grey.convert("RGB"), grey.convert("RGBA"), grey.convert("P"), grey.convert("1")]
    contents = []
    for picture in pictures:
        file = io.BytesIO()
        picture.save(file, "PNG")
        contents.append(file.getvalue())
    return contents


def read_png(folder: Path, content: bytes) -> object:
    return read_inputs(written(folder / "in.png", content), (4, 4))


# --- configs ---


def config_seeds(folder: Path) -> list[bytes]:
    data = Path("data.npz")
    texts = [softmax_config(data), busy_config(data), autoencoder_config(data)]
    return [text.encode() for text in texts] + [path.read_bytes() for path in CONFIGS.rglob("*.yaml")]


def read_config(folder: Path, content: bytes) -> object:
    config = parse(RunConfig, load_document(written(folder / "c.yaml", content)))
    assert parse(RunConfig, parse_document(to_yaml(dump(config)), "again")) == config
    return config


def override_seeds(folder: Path) -> list[bytes]:
    return [
        b"optimizer.learning_rate=1e-3",
        b"model.layers.1.units=7",
        b"optimizer={name: sgd, momentum: 0.9}",
    ]


def read_override(folder: Path, content: bytes) -> object:
    document = parse_document(busy_config(Path("data.npz")), "c.yaml")
    return parse(RunConfig, apply_overrides(document, [content.decode(errors="surrogateescape")]))


TARGETS = {
    "idx": Target(read_idx, idx_seeds),
    "idx_labels": Target(read_labels, lambda folder: [idx(np.arange(6, dtype=np.uint8))]),
    "idx_in_gzip": Target(lambda folder, content: read_idx(folder, repair.gzipped(content)), idx_seeds),
    "gzip": Target(read_idx, lambda folder: [repair.gzipped(content) for content in idx_seeds(folder)]),
    "decompressed": Target(read_kept, kept_seeds),
    "npz": Target(read_npz, npz_seeds),
    "npz_inputs": Target(read_npz_inputs, npy_seeds),
    "npz_labels": Target(read_npz_labels, label_seeds),
    "npz_targets": Target(read_npz_targets, label_seeds),
    "npy": Target(read_npy, npy_seeds),
    "png": Target(read_png, png_seeds),
    "png_chunks": Target(
        lambda folder, content: read_png(folder, repair.with_png_checksums(content)), png_seeds
    ),
    "config": Target(read_config, config_seeds),
    "override": Target(read_override, override_seeds),
    "checkpoint_manifest": Target(runs.read_manifest, runs.manifest_seeds, json=True),
    "checkpoint_state": Target(runs.read_state, runs.state_seeds),
    "checkpoint_pointer": Target(runs.read_pointer, runs.seeds_of("checkpoints/best")),
    "failure_manifest": Target(runs.read_failure_manifest, runs.failure_manifest_seeds, json=True),
    "failure_state": Target(runs.read_failure_state, runs.failure_state_seeds),
    "run_config": Target(runs.read_run_config, runs.seeds_of("config.yaml")),
    "run_record": Target(runs.read_record, runs.seeds_of("run.json"), json=True),
    "metrics_lines": Target(runs.read_metrics_lines, runs.seeds_of("metrics.jsonl")),
    "metrics_line": Target(runs.read_metrics_line, runs.line_seeds, json=True),
    "metrics_table": Target(runs.read_metrics_table, runs.seeds_of("metrics.csv")),
}
