"""A run's TensorBoard files, read back by TensorBoard itself."""

from __future__ import annotations

import csv
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from run_helpers import Dltrain, autoencoder_config, busy_config, dltrain_in, write_data

from dltrain.datasets import Npz

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TensorBoard's own imports


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    monkeypatch.chdir(tmp_path)
    return dltrain_in(capsys)


def events(folder: str) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(f"run/tensorboard/{folder}", size_guidance={"images": 0, "scalars": 0})
    return accumulator.Reload()


def test_scalars_of_both_splits_overlay_and_agree_with_the_table(dltrain: Dltrain) -> None:
    Path("c.yaml").write_text(busy_config(write_data(Path.cwd())))
    assert dltrain("fit", "c.yaml", "--run-dir", "run", "--quiet").code == 0
    train, validation = events("train"), events("validation")
    assert set(train.Tags()["scalars"]) == {"loss", "learning_rate", "batch_loss"}
    assert set(validation.Tags()["scalars"]) == {"loss", "accuracy"}
    rows = list(csv.DictReader(Path("run/metrics.csv").read_text().splitlines()))
    for files, tag, column in (
        (train, "loss", "train_loss"),
        (validation, "loss", "validation_loss"),
        (validation, "accuracy", "validation_accuracy"),
    ):
        points = files.Scalars(tag)
        assert [point.step for point in points] == [int(row["step"]) for row in rows]
        np.testing.assert_allclose([p.value for p in points], [float(row[column]) for row in rows], rtol=1e-6)
    assert [point.step for point in train.Scalars("batch_loss")] == [2, 4, 6, 8, 10]


def test_the_graph_has_name_scopes(dltrain: Dltrain) -> None:
    Path("c.yaml").write_text(busy_config(write_data(Path.cwd())))
    dltrain("fit", "c.yaml", "--run-dir", "run", "--quiet")
    nodes = {node.name: node for node in events("train").Graph().node}
    assert {name.split("/")[0] for name in nodes} >= {
        "input",
        "target",
        "sequential",
        "training",
        "evaluation",
        "adam",
        "step",
    }
    assert "sequential/dense/kernel" in nodes["training/sequential/dense/matmul"].input
    assert "sequential/dense/kernel" in nodes["evaluation/sequential/dense/matmul"].input
    assert all(source.partition(":")[0] in nodes for node in nodes.values() for source in node.input)


def test_inputs_beside_reconstructions(dltrain: Dltrain) -> None:
    data = write_data(Path.cwd())
    Path("c.yaml").write_text(autoencoder_config(data))
    dltrain("fit", "c.yaml", "--run-dir", "run", "--quiet")
    images = events("validation").Images("reconstruction")
    assert [image.step for image in images] == [5, 10]
    picture = np.asarray(Image.open(BytesIO(images[-1].encoded_image_string)))
    assert picture.shape == (8, 40)  # ten inputs above their reconstructions
    splits = Npz(path=data, target="input", validation_size=10).load().splits
    inputs, _ = splits["validation"].take(np.arange(10))
    np.testing.assert_array_equal(picture[:4], np.rint(np.hstack(list(inputs)) * 255))
    assert picture[:4].std() > 20


def test_a_resumed_run_has_every_point_once(dltrain: Dltrain) -> None:
    Path("c.yaml").write_text(busy_config(write_data(Path.cwd())))
    dltrain("fit", "c.yaml", "--run-dir", "run", "--quiet")
    Path("run/checkpoints/step-00000010/checkpoint.json").write_text("damaged")
    result = dltrain("fit", "--resume", "run", "train.epochs=3", "--quiet")  # goes on after step 5
    assert result.code == 0
    damaged, stretched = result.err.splitlines()
    assert damaged.startswith("dltrain: warning: damaged checkpoint: run/checkpoints/step-00000010")
    assert "the rate of step 6 was" in stretched
    assert [point.step for point in events("validation").Scalars("loss")] == [5, 10, 15]
    assert [point.step for point in events("train").Scalars("batch_loss")] == [2, 4, 6, 8, 10, 12, 14]
