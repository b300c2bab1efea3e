"""`dltrain predict`: from files of inputs to files of classes, probabilities, reconstructions."""

from __future__ import annotations

import csv
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from run_helpers import Dltrain, autoencoder_config, dltrain_in, softmax_config, write_data

from dltrain.runs.checkpoints import CheckpointStore

Array = np.ndarray[Any, Any]


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    """Runs command lines in a folder with two runs: `classes`, and the autoencoder `pictures`."""
    monkeypatch.chdir(tmp_path)
    data = write_data(tmp_path)
    run = dltrain_in(capsys)
    for name, text in (("classes", softmax_config(data)), ("pictures", autoencoder_config(data))):
        Path("c.yaml").write_text(text)
        assert run("fit", "c.yaml", "--run-dir", name, "--quiet").code == 0
    np.save("in.npy", inputs())
    return run


def inputs() -> Array:
    with np.load("data.npz") as file:
        return file["x_test"]


def probabilities(examples: Array) -> Array:
    """softmax(x W + b) in plain NumPy, x in 0 .. 1."""
    values = CheckpointStore(Path("classes/checkpoints")).load("best").arrays
    weights, bias = (values[f"softmax_regression/dense/{name}"] for name in ("kernel", "bias"))
    powers = np.exp(examples.reshape(len(examples), -1) @ weights.astype(float) + bias)
    return powers / powers.sum(axis=1, keepdims=True)


def test_classes_and_probabilities_as_csv(dltrain: Dltrain) -> None:
    result = dltrain("predict", "classes", "--input", "in.npy", "--output", "out.csv")
    assert result == (0, "out.csv: 23 examples, step 18\n", "")
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    expected = probabilities(inputs() / 255)
    found = [[float(row[f"probability_{k}"]) for k in range(3)] for row in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert [int(row["class"]) for row in rows] == list(expected.argmax(axis=1))


def test_json_and_npy_say_the_same(dltrain: Dltrain) -> None:
    dltrain("predict", "classes", "--input", "in.npy", "--output", "out.npy")
    dltrain("predict", "classes", "--input", "in.npy", "--output", "out.json")
    array = np.load("out.npy")
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, probabilities(inputs() / 255), rtol=1e-4)
    rows = json.loads(Path("out.json").read_text())
    np.testing.assert_array_equal(np.float32([row["probabilities"] for row in rows]), array)
    assert [row["class"] for row in rows] == list(array.argmax(axis=1))


def outputs(dltrain: Dltrain, source: str) -> Array:
    result = dltrain("predict", "classes", "--input", source, "--output", "out.npy")
    assert result.code == 0, result.err
    return np.load("out.npy")


def test_all_formats_of_input_agree(dltrain: Dltrain) -> None:
    expected = outputs(dltrain, "in.npy")
    pixels = inputs()
    np.save("floats.npy", (pixels / np.float32(255)).astype(np.float64))
    np.testing.assert_allclose(outputs(dltrain, "floats.npy"), expected, rtol=1e-5)
    Path("test-idx3-ubyte").write_bytes(struct.pack(">HBBIII", 0, 8, 3, 23, 4, 4) + pixels.tobytes())
    np.testing.assert_array_equal(outputs(dltrain, "test-idx3-ubyte"), expected)
    Image.fromarray(pixels[0]).save("one.png")
    np.testing.assert_allclose(outputs(dltrain, "one.png"), expected[:1], rtol=1e-6)
    np.save("one.npy", pixels[0])
    np.testing.assert_allclose(outputs(dltrain, "one.npy"), expected[:1], rtol=1e-6)


def test_a_coloured_picture_becomes_grey_and_is_not_inverted(dltrain: Dltrain) -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:, 1] = (255, 0, 0)
    picture[:, 2] = 255
    Image.fromarray(picture).save("colours.png")
    grey = np.zeros((1, 4, 4))
    grey[:, :, 1], grey[:, :, 2] = 76 / 255, 1.0  # 0.299 * 255 = 76
    np.testing.assert_allclose(outputs(dltrain, "colours.png"), probabilities(grey), rtol=1e-4)


def test_reconstructions(dltrain: Dltrain) -> None:
    assert dltrain("predict", "pictures", "--input", "in.npy", "--output", "out.npy").code == 0
    array = np.load("out.npy")
    assert array.shape == (23, 4, 4)
    assert dltrain("predict", "pictures", "--input", "in.npy", "--output", "out.png").code == 0
    sheet = np.asarray(Image.open("out.png"))
    assert sheet.shape == (3 * 4, 10 * 4)  # three rows of ten
    np.testing.assert_array_equal(sheet[4:8, 8:12], np.rint(array[12] * 255))
    assert not sheet[8:, 12:].any()
    figures = json.loads(dltrain("eval", "pictures", "--json").out)
    assert np.mean(np.square(array - inputs() / 255)) == pytest.approx(figures["mse"], rel=1e-5)


def write_bad_files() -> None:
    np.save("wide.npy", np.zeros((2, 4, 5), np.uint8))
    np.save("flat.npy", np.zeros((2, 16), np.float32))
    np.save("integers.npy", np.zeros((2, 4, 4), np.int64))
    np.save("empty.npy", np.zeros((0, 4, 4), np.uint8))
    np.save("nan.npy", np.full((4, 4), np.nan))
    np.save("pickle.npy", np.array([{}]), allow_pickle=True)
    Path("cut.npy").write_bytes(Path("in.npy").read_bytes()[:-1])
    content = Path("in.npy").read_bytes()
    for name, shape in (
        ("huge", b"(9999999,)"),
        ("negative", b"(-1,4,4)  "),
        ("open", b"(((((((((("),
        ("power", b"(10**12,) "),
    ):
        Path(f"{name}.npy").write_bytes(content.replace(b"(23, 4, 4)", shape))
    Path("text.npy").write_text("hello")
    Path("nothing.npy").touch()
    Path("text.png").write_text("hello")
    Path("text.idx").write_text("hello")
    Image.new("L", (5, 4)).save("wide.png")
    Image.new("RGBA", (4, 4), (1, 2, 3, 4)).save("glass.png")
    Image.new("I;16", (4, 4)).save("deep.png")
    Image.new("L", (4, 4)).save("jpeg.jpg")
    Path("jpeg.jpg").rename("jpeg.png")
    content = Path("wide.png").read_bytes()
    Path("cut.png").write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("absent.npy", 3, "no such file: absent.npy"),
        ("in.txt", 2, "unknown format of input: in.txt"),
        ("wide.npy", 3, "they are 2 x 4 x 5, but an example is 4 x 4"),
        ("flat.npy", 3, "they are 2 x 16, but an example is 4 x 4"),
        ("integers.npy", 3, "inputs must be uint8 or floating"),
        ("empty.npy", 3, "they are 0 x 4 x 4"),
        ("nan.npy", 3, "inputs must be finite"),
        ("pickle.npy", 3, "damaged .npy file"),
        ("cut.npy", 3, "damaged .npy file"),
        ("power.npy", 3, "damaged .npy file"),
        ("open.npy", 3, "damaged .npy file"),
        ("negative.npy", 3, "damaged .npy file"),
        ("huge.npy", 3, "damaged .npy file"),
        ("text.npy", 3, "damaged .npy file"),
        ("nothing.npy", 3, "damaged .npy file"),
        ("text.png", 3, "damaged PNG file"),
        ("jpeg.png", 3, "damaged PNG file"),
        ("cut.png", 3, "damaged PNG file"),
        ("text.idx", 3, "damaged IDX file"),
        ("wide.png", 3, "they are 4 x 5, but an example is 4 x 4"),
        ("glass.png", 3, "picture is transparent in parts"),
        ("deep.png", 3, "picture is not of 8 bits"),
        (".", 2, "unknown format of input"),
    ],
)
def test_wrong_inputs_are_one_clear_line(dltrain: Dltrain, source: str, code: int, message: str) -> None:
    write_bad_files()
    result = dltrain("predict", "classes", "--input", source, "--output", "out.csv")
    assert (result.code, result.out) == (code, ""), result.err
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("run", "target", "code", "message"),
    [
        ("classes", "out.png", 2, "unknown format for classes: out.png; give a file .csv or .json or .npy"),
        ("pictures", "out.csv", 2, "unknown format for reconstructions: out.csv; give a file .npy or .png"),
        ("classes", "absent/out.csv", 7, "absent/out.csv"),
        ("absent", "out.csv", 5, "no run named 'absent'"),
    ],
)
def test_wrong_outputs_are_one_clear_line(
    dltrain: Dltrain, run: str, target: str, code: int, message: str
) -> None:
    result = dltrain("predict", run, "--input", "in.npy", "--output", target)
    assert (result.code, result.out) == (code, ""), result.err
    assert message in result.err
    assert result.err.count("\n") == 1


def test_nothing_is_lost_for_an_output(dltrain: Dltrain) -> None:
    """Neither the inputs nor a file of the run is overwritten."""
    np.save("inputs.npy", inputs())
    record = Path("classes/run.json").read_bytes()
    for target, what in (
        ("inputs.npy", "input and output are one file"),
        ("classes/metrics.csv", "the output is a file of the run"),
    ):
        target_file = Path(target)
        before = target_file.read_bytes()
        result = dltrain("predict", "classes", "--input", "inputs.npy", "--output", target)
        assert (result.code, what in result.err) == (2, True), result.err
        assert target_file.read_bytes() == before
    assert Path("classes/run.json").read_bytes() == record
