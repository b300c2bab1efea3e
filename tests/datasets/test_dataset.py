"""Loading a data set: what it gives, which examples validate, and every way in which files do not fit."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dltrain.config import dump, parse, parse_document
from dltrain.datasets import Data, Dataset, Idx, Mnist, Npz
from dltrain.errors import ConfigError, DataError, DltrainWarning
from dltrain.task import InputTarget, LabelTarget, MultiLabelTarget, NumbersTarget, PositionsTarget, Target

Write = Callable[..., Path]
REAL_MNIST = Path(__file__).parents[2] / "data/mnist"
TRAIN = np.arange(20 * 6, dtype=np.uint8).reshape(20, 2, 3)
TRAIN_LABELS = np.arange(20, dtype=np.uint8) % 4
TEST = TRAIN[:5] + 100
TEST_LABELS = np.array([3, 2, 1, 0, 0], dtype=np.uint8)


def batch(data: Data, split: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """All examples of a split."""
    return data.splits[split].arrays()


@pytest.fixture
def idx_files(write_idx: Write) -> dict[str, Path]:
    return {
        "train_images": write_idx("train-images-idx3-ubyte.gz", TRAIN),
        "train_labels": write_idx("train-labels-idx1-ubyte.gz", TRAIN_LABELS),
        "test_images": write_idx("t10k-images-idx3-ubyte", TEST),
        "test_labels": write_idx("t10k-labels-idx1-ubyte", TEST_LABELS),
    }


def save_npz(tmp_path: Path, **arrays: np.ndarray[Any, Any]) -> Path:
    given = {"x_train": TRAIN, "y_train": TRAIN_LABELS, "x_test": TEST, "y_test": TEST_LABELS} | arrays
    np.savez(tmp_path / "data.npz", **given)
    return tmp_path / "data.npz"


def test_three_data_sets_give_the_same_from_the_same_examples(
    idx_files: dict[str, Path], tmp_path: Path
) -> None:
    for dataset in (
        Mnist(root=tmp_path, validation_size=5),
        Idx(**idx_files, validation_size=5),
        Npz(path=save_npz(tmp_path), validation_size=5),
    ):
        with (
            nullcontext() if dataset.known_classes is None else pytest.warns(DltrainWarning, match="4, 5, 6")
        ):
            data = dataset.load()
        assert {name: len(split) for name, split in data.splits.items()} == {
            "train": 15,
            "validation": 5,
            "test": 5,
        }
        assert data.input_shape == (2, 3)
        assert data.target == LabelTarget(10 if isinstance(dataset, Mnist) else 4)
        inputs, targets = batch(data, "test")
        np.testing.assert_allclose(inputs, TEST / 255, rtol=1e-6)
        np.testing.assert_array_equal(targets, TEST_LABELS)


def test_the_real_mnist() -> None:
    data = Mnist(root=REAL_MNIST).load()
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 55000,
        "validation": 5000,
        "test": 10000,
    }
    assert (data.input_shape, data.target) == ((28, 28), LabelTarget(10))
    inputs, targets = batch(data, "test")
    assert targets[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert float(inputs.mean()) == pytest.approx(0.13251, abs=1e-5)  # known from the literature, as 0.1325
    assert (float(inputs.min()), float(inputs.max())) == (0.0, 1.0)


def test_train_and_validation_share_out_the_training_examples(tmp_path: Path) -> None:
    data = Npz(path=save_npz(tmp_path), validation_size=7).load()
    train, validation = batch(data, "train")[0], batch(data, "validation")[0]
    first_values = sorted((np.concatenate([train, validation])[:, 0, 0] * 255).round().astype(int).tolist())
    assert first_values == TRAIN[:, 0, 0].tolist()
    for name in ("train", "validation"):  # each input has kept its label
        inputs, targets = batch(data, name)
        np.testing.assert_array_equal((inputs[:, 0, 0] * 255).round() / 6 % 4, targets)


def test_the_choice_of_validation_examples_never_changes(tmp_path: Path) -> None:
    """These values are a promise: figures of earlier runs compare only as long as they stay."""
    x = np.arange(60000, dtype=np.float32)[:, None]
    path = save_npz(tmp_path, x_train=x, x_test=x, y_train=np.zeros(60000, int), y_test=np.zeros(60000, int))
    chosen = batch(Npz(path=path, validation_size=5000).load(), "validation")[0][:, 0].astype("<i8")
    assert chosen[:4].tolist() == [10, 22, 29, 59]
    assert hashlib.sha256(chosen.tobytes()).hexdigest()[:16] == "8224457eb1470a84"
    fewer = batch(Npz(path=path, validation_size=100).load(), "validation")[0][:, 0]
    assert set(fewer) < set(chosen)


def test_a_tenth_validates_by_default_and_none_when_asked(tmp_path: Path) -> None:
    path = save_npz(tmp_path)
    assert len(Npz(path=path).load().splits["validation"]) == 2
    assert "validation" not in Npz(path=path, validation_size=0).load().splits
    assert Mnist().validation_size == 5000
    assert Mnist().root == Path("data/mnist")


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8"])
def test_floating_inputs_are_not_scaled_by_default(tmp_path: Path, dtype: str) -> None:
    path = save_npz(tmp_path, x_train=TRAIN.astype(dtype) / 8, x_test=TEST.astype(dtype) / 8)
    np.testing.assert_array_equal(batch(Npz(path=path).load(), "test")[0], TEST / 8)
    np.testing.assert_array_equal(batch(Npz(path=path, scale=4.0).load(), "test")[0], TEST / 2)


def test_scale_of_bytes(tmp_path: Path) -> None:
    np.testing.assert_array_equal(batch(Npz(path=save_npz(tmp_path), scale=0.5).load(), "test")[0], TEST / 2)


def test_without_labels_when_the_input_is_the_target(idx_files: dict[str, Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x_train=TRAIN, x_test=TEST)
    images = {name: path for name, path in idx_files.items() if name.endswith("images")}
    for name in ("train_labels", "test_labels"):
        idx_files[name].unlink()
    for dataset in (
        Mnist(root=tmp_path, target="input", validation_size=2),
        Idx(**images, target="input"),
        Npz(path=tmp_path / "data.npz", target="input"),
    ):
        data = dataset.load()
        assert data.target == InputTarget((2, 3))
        inputs, _ = data.splits["test"].take(np.array([4, 0]))
        np.testing.assert_allclose(inputs, TEST[[4, 0]] / 255, rtol=1e-6)


ONE_NAN = TRAIN.astype(np.float32)
ONE_NAN[3, 1, 1] = np.nan
MISFITS = {
    "fewer labels than inputs": ({"y_train": TRAIN_LABELS[:-1]}, "19 labels for 20 inputs in x_train"),
    "more labels than inputs": ({"y_test": TRAIN_LABELS}, "20 labels for 5 inputs in x_test"),
    "another shape in test": ({"x_test": TEST[:, :, :2]}, "2 x 2 of uint8, but 2 x 3 of uint8 in training"),
    "another type in test": ({"x_test": TEST / 1.0}, "2 x 3 of float64, but 2 x 3 of uint8 in training"),
    "negative label": ({"y_train": TRAIN_LABELS.astype(int) - 1}, "y_train in .*: a label is -1"),
    "label that training has not": ({"y_test": TEST_LABELS + 1}, "a label is 4, but the classes are 0 to 3"),
    "label beyond int64": ({"y_train": TRAIN_LABELS + np.uint64(2**63)}, f"a label is {2**63 + 3}"),
    "floating labels": ({"y_train": TRAIN_LABELS / 1.0}, "one integer an example: .*holds 20 of float64"),
    "one-hot labels": (
        {"y_train": np.eye(20, dtype=int)},
        "one integer an example: .*holds 20 x 20 of int64",
    ),
    "inputs of int64": ({"x_train": TRAIN.astype(int)}, "uint8 or floating: .*they are int64"),
    "inputs without values": ({"x_train": TRAIN[:, 0, 0]}, "holds 20 of uint8"),
    "nan": ({"x_train": ONE_NAN, "x_test": TEST / 1.0}, "not finite in float32: .*in example 3"),
    "too large for float32": ({"x_train": TRAIN * 1e300, "x_test": TEST / 1.0}, "in example 0"),
    "nothing": ({"x_test": TEST[:0]}, "empty"),
}


@pytest.mark.parametrize(("arrays", "fact"), MISFITS.values(), ids=MISFITS.keys())
def test_files_that_do_not_fit_are_one_line(tmp_path: Path, arrays: dict[str, Any], fact: str) -> None:
    path = save_npz(tmp_path, **arrays)
    with pytest.raises(DataError, match=fact) as raised:
        Npz(path=path).load()
    (line,) = raised.value.lines
    assert "\n" not in line
    assert str(path) in line


def test_labels_and_images_that_changed_places(idx_files: dict[str, Path]) -> None:
    idx_files["train_labels"], idx_files["train_images"] = (
        idx_files["train_images"],
        idx_files["train_labels"],
    )
    with pytest.raises(DataError, match=r"must have a dimension for the examples.*train-labels"):
        Idx(**idx_files).load()


def test_an_eleventh_digit(write_idx: Write, idx_files: dict[str, Path], tmp_path: Path) -> None:
    write_idx("train-labels-idx1-ubyte.gz", TRAIN_LABELS + 7)
    with pytest.raises(
        DataError, match=r"label out of range: .*train-labels.* 10, but the classes are 0 to 9"
    ):
        Mnist(root=tmp_path, validation_size=0).load()


@pytest.mark.parametrize("size", [20, 21, 10**18])
def test_validation_must_leave_something_to_train_on(tmp_path: Path, size: int) -> None:
    with pytest.raises(
        ConfigError,
        match=f"validation_size: it is {size}, and x_train in .* holds 20 examples; give at most 19",
    ):
        Npz(path=save_npz(tmp_path), validation_size=size).load()


@pytest.mark.parametrize("root", ["none", "here is nothing"])
def test_missing_mnist_says_how_to_get_it(tmp_path: Path, root: str) -> None:
    (tmp_path / "here is nothing").mkdir()
    with pytest.raises(DataError) as raised:
        Mnist(root=tmp_path / root).load()
    (line,) = raised.value.lines
    assert f"no MNIST data: {tmp_path / root}: " in line
    assert re.search(f"run `dltrain download-mnist --dir '?{tmp_path / root}'?`", line)


def test_one_missing_mnist_file_is_named(tmp_path: Path) -> None:
    for path in REAL_MNIST.glob("t*.gz"):
        if "labels" not in path.name or "train" not in path.name:
            shutil.copy(path, tmp_path)
    with pytest.raises(DataError, match=r"no train-labels-idx1-ubyte\.gz in it"):
        Mnist(root=tmp_path).load()


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("{name: mnist, validation_size: -1}", "validation_size"),
        ("{name: mnist, scale: 0}", "scale"),
        ("{name: mnist, target: image}", "target"),
        ("{name: mnist, data_dir: x}", "root"),
        ("{name: idx, train_images: a, test_images: b}", "train_labels is missing"),
        ("{name: npz}", "path"),
        ("name: MNIST", "mnist"),
    ],
)
def test_wrong_keys(text: str, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact):
        parse(Dataset, parse_document(text, "a.yaml"))


@pytest.mark.parametrize(
    "text",
    ["name: mnist", "{name: mnist, root: x, target: input}", "{name: npz, path: a.npz, validation_size: 3}"],
)
def test_a_config_comes_back_from_its_dump(text: str) -> None:
    dataset = parse(Dataset, parse_document(text, "a.yaml"))
    assert Dataset.registered()[dump(dataset)["name"]] is type(dataset)
    assert parse(Dataset, parse_document(repr(dump(dataset)).replace("None", "null"), "b.yaml")) == dataset


def test_a_path_may_begin_with_the_users_home(
    idx_files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Mnist(root="~").root == tmp_path
    document = parse_document("{name: npz, path: ~/data.npz}", "c.yaml")
    assert parse(Dataset, document).path == save_npz(tmp_path)  # type: ignore[attr-defined]
    names = {key: f"~/{path.name}" for key, path in idx_files.items()}
    assert Idx(**names) == Idx(**idx_files)
    assert Npz(path="~nobody-of-that-name/a.npz").path == Path("~nobody-of-that-name/a.npz")


def test_paths_can_be_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = Idx(train_images="a", test_images="/b", target="input", scale=2.0)
    assert relative.paths == {"train_images": Path("a"), "test_images": Path("/b")}
    absolute = relative.with_absolute_paths()
    assert absolute.paths == {"train_images": tmp_path / "a", "test_images": Path("/b")}
    assert absolute.scale == 2.0


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        (TRAIN_LABELS + 1, r"no example of class 0: y_train in .*data.npz: its labels are 1 to 4; number"),
        (TRAIN_LABELS * 2, r"no example of some classes: y_train in .*data.npz: of 0 to 6 it lacks 1, 3, 5$"),
        (TRAIN_LABELS * 5, r"of 0 to 15 it lacks 1, 2, 3, 4, 6 and 7 more$"),
    ],
)
def test_classes_without_an_example_are_told(tmp_path: Path, labels: np.ndarray[Any, Any], line: str) -> None:
    path = save_npz(tmp_path, y_train=labels, y_test=labels[:5])
    with pytest.warns(DltrainWarning, match=line) as caught:
        assert Npz(path=path).load().target == LabelTarget(labels.max() + 1)
    assert len(caught) == 1


NUMBERS = np.linspace(-1, 1, 60).reshape(20, 3)
SOME = (NUMBERS > 0.2).astype(int)


@pytest.mark.parametrize(
    ("kind", "stored", "target"),
    [
        ("numbers", NUMBERS, NumbersTarget((3,))),
        ("numbers", NUMBERS[:, 0].astype(">f4"), NumbersTarget(())),
        ("numbers", TRAIN_LABELS, NumbersTarget(())),
        ("multi_label", SOME, MultiLabelTarget((3,))),
        ("multi_label", SOME[:, 0].astype("f4"), MultiLabelTarget(())),
        ("positions", SOME * 2, PositionsTarget(3, (3,))),
    ],
)
def test_targets_of_every_kind(
    tmp_path: Path, kind: Any, stored: np.ndarray[Any, Any], target: Target
) -> None:
    path = save_npz(tmp_path, y_train=stored, y_test=stored[:5])
    with pytest.warns(DltrainWarning) if kind == "positions" else nullcontext():
        data = Npz(path=path, target=kind, validation_size=0).load()
    assert data.target == target
    for targets, expected in (
        (data.splits["train"].arrays()[1], stored),
        (batch(data, "test")[1], stored[:5]),
    ):
        assert targets.dtype == target.dtype
        np.testing.assert_allclose(targets, expected, rtol=1e-7)


def test_targets_in_idx_files(write_idx: Write, idx_files: dict[str, Path]) -> None:
    idx_files["train_labels"] = write_idx("train-numbers", NUMBERS)
    idx_files["test_labels"] = write_idx("test-numbers", NUMBERS[:5])
    data = Idx(**idx_files, target="numbers").load()
    assert data.target == NumbersTarget((3,))
    np.testing.assert_allclose(batch(data, "test")[1], NUMBERS[:5], rtol=1e-7)


@pytest.mark.parametrize(
    ("kind", "arrays", "fact"),
    [
        ("label", {"y_train": NUMBERS}, "or set dataset.target to numbers"),
        ("label", {"y_train": SOME}, "or set dataset.target to multi_label"),
        ("multi_label", {"y_train": SOME * 2}, "must be 0 or 1: y_train in .*: an entry is 2; "),
        (
            "multi_label",
            {"y_train": SOME},
            "targets differ: y_test in .*holds 5 of uint8, but training 20 x 3",
        ),
        ("numbers", {"y_train": NUMBERS * 1e300}, "target that is not finite in float32: .*in example 0"),
        ("numbers", {"y_train": TRAIN_LABELS[:-1] / 1.0}, "19 labels for 20 inputs"),
        ("positions", {"y_train": TRAIN_LABELS}, "must be one integer a position: y_train in .*holds 20 of"),
        ("positions", {"y_train": SOME - 1, "y_test": SOME[:5]}, "a label is -1"),
    ],
)
def test_targets_that_are_not_of_their_kind(
    tmp_path: Path, kind: Any, arrays: dict[str, Any], fact: str
) -> None:
    arrays = {"y_test": TEST_LABELS % 2, **arrays}
    with pytest.raises(DataError, match=fact) as raised:
        Npz(path=save_npz(tmp_path, **arrays), target=kind).load()
    assert len(raised.value.lines) == 1
