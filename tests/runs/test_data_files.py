"""A run knows its data: found from any folder, and not taken for what it was when it has changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from run_helpers import Dltrain, dltrain_in, softmax_config, write_data


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    """Runs command lines beside a run whose data set is named by a relative path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    write_data(tmp_path)
    Path("c.yaml").write_text(softmax_config(Path("data.npz")))
    run = dltrain_in(capsys)
    assert run("fit", "c.yaml", "--run-dir", "run", "--quiet", "--kernels", "numpy").code == 0
    return run


def turn_data_around() -> None:
    """The same shapes, sizes and labels; other examples."""
    arrays = dict(np.load("data.npz"))
    np.savez("data.npz", **(arrays | {"x_train": arrays["x_train"][::-1]}))


def test_a_run_is_used_from_any_folder(
    dltrain: Dltrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = dltrain("eval", "run")
    assert f"{tmp_path}/data.npz" in Path("run/config.yaml").read_text()
    assert 'path: "data.npz"' in Path("run/config.source.yaml").read_text()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert dltrain("eval", "../run") == here
    assert dltrain("verify", "../run", "--quiet") == (0, "", "")
    result = dltrain("fit", "--resume", "../run", "train.epochs=4", "--quiet", "--kernels", "numpy")
    assert result == (0, "", "")
    monkeypatch.chdir("..")
    assert dltrain("fit", "--resume", "run", "dataset.path=data.npz", "--quiet").code == 0


def test_changed_data_is_no_data_to_resume_on(dltrain: Dltrain) -> None:
    turn_data_around()
    before = Path("run/run.json").read_bytes()
    result = dltrain("fit", "--resume", "run", "train.epochs=4")
    assert (result.code, result.out) == (5, "")
    assert result.err.startswith("dltrain: error: the data set has changed since the run began: ")
    assert "data.npz: its content is another; put the original file back, or" in result.err
    assert result.err.count("\n") == 1
    record = Path("run/run.json").read_bytes()
    assert record == before


@pytest.mark.parametrize(("command", "code"), [("eval", 0), ("verify", 5)])
def test_changed_data_is_told(dltrain: Dltrain, command: str, code: int) -> None:
    turn_data_around()
    result = dltrain(command, "run")
    assert result.code == code
    assert result.err.splitlines()[0].endswith(
        "data.npz: the data set has changed since the run was trained: its content is another"
    )


def test_the_same_data_elsewhere(dltrain: Dltrain) -> None:
    """Moved, copied, touched: what counts is the content."""
    Path("other").mkdir()
    shutil.copy("data.npz", "other/data.npz")
    Path("data.npz").unlink()
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace("data.npz", "other/data.npz"))
    for words in (["eval", "run"], ["fit", "--resume", "run", "train.epochs=4", "--kernels", "numpy"]):
        result = dltrain(*words)
        assert result.code == 0, result.err
        assert "warning" not in result.err


def test_a_run_of_before_notes_its_data_when_it_is_resumed(dltrain: Dltrain) -> None:
    """Earlier versions kept no digests, and relative paths."""
    path = Path("run/run.json")
    record = json.loads(path.read_text())
    noted = record.pop("data")
    path.write_text(json.dumps(record))
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace(str(Path.cwd()) + "/", ""))
    assert dltrain("eval", "run").err == ""
    assert dltrain("fit", "--resume", "run", "train.epochs=4", "--quiet", "--kernels", "numpy").err == ""
    assert json.loads(path.read_text())["data"][0]["size"] == noted[0]["size"]
    assert str(Path.cwd()) in config.read_text()


def test_a_change_in_the_middle_of_a_plain_file(dltrain: Dltrain) -> None:
    """As of MNIST's decompressed files, which hold no checksum: of the same size, and all else the same."""
    arrays = np.load("data.npz")
    images = np.tile(arrays["x_train"], (500, 1, 1))
    for name, array in (("images", images), ("labels", np.tile(arrays["y_train"], 500).astype(np.uint8))):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        Path(name).write_bytes(header + array.tobytes())
    keys = ("train_images", "train_labels", "test_images", "test_labels")
    data = ", ".join(f"{key}: {key.split('_')[1]}" for key in keys)
    config = softmax_config(Path("data.npz"), steps=3, epochs="null")
    Path("c.yaml").write_text(config.replace('name: npz, path: "data.npz"', f"name: idx, {data}"))
    assert dltrain("fit", "c.yaml", "--run-dir", "plain", "--kernels", "numpy").code == 0
    with Path("images").open("r+b") as file:
        file.seek(200_000)
        file.write(bytes(4))
    result = dltrain("fit", "--resume", "plain", "train.steps=4")
    assert (result.code, result.out) == (5, "")
    assert "images: its content is another; put the original file back" in result.err
