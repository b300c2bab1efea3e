"""`dltrain validate`: what it prints of a good config, and that it writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_helpers import Dltrain, busy_config, dltrain_in, write_data


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(busy_config(write_data(tmp_path)))
    return dltrain_in(capsys)


def test_a_good_config(dltrain: Dltrain) -> None:
    result = dltrain("validate", "c.yaml", "train.batch_size=15")
    assert result.code == 0
    assert result.err == ""
    lines = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in result.out.splitlines()}
    assert lines["dataset"] == "npz: 40 train, 10 validation, 23 test examples, each 4 x 4"
    assert lines["model"] == "sequential: 179 parameters"  # 16 * 8 + 8, 8 + 8, 8 * 3 + 3
    assert lines["sequential/dense"].split() == ["8", "136"]
    assert lines["sequential/batch_norm"].split() == ["8", "16"]
    assert lines["sequential/dense_1"].split() == ["3", "27"]
    assert lines["metrics"] == "loss, accuracy"
    assert lines["train"] == "6 steps, 3 an epoch"
    assert {path.name for path in Path().iterdir()} == {"c.yaml", "data.npz"}


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("optimizer.lr=0.1", 2, "unknown key 'lr'"),
        ("model.layers.1.units=0", 2, "model.layers.1.units must be greater than 0"),
        ("model.layers.5.units=4", 2, "end in 3 units"),
        ("train.keep_best={metric: mse}", 2, "(train.keep_best.metric)"),
        ("dataset.path=gone.npz", 3, "no such file: gone.npz"),
    ],
)
def test_a_bad_one(dltrain: Dltrain, override: str, code: int, message: str) -> None:
    result = dltrain("validate", "c.yaml", override)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_places_in_the_file_are_named(dltrain: Dltrain) -> None:
    text = Path("c.yaml").read_text().replace("units: 3", "units: 4")
    Path("c.yaml").write_text(text)
    line = next(number for number, row in enumerate(text.splitlines(), start=1) if "units: 4" in row)
    result = dltrain("validate", "c.yaml")
    assert f"c.yaml:{line}:7 (model.layers[5])" in result.err


def test_all_problems_at_once(dltrain: Dltrain) -> None:
    result = dltrain("validate", "c.yaml", "seed=-1", "train.batch_size=0", "colour=red")
    assert result.code == 2
    assert result.err.count("\n") == 3


def test_no_config(dltrain: Dltrain) -> None:
    assert dltrain("validate").code == 2


def test_the_json_schema_knows_every_kind(dltrain: Dltrain) -> None:
    schema = json.loads(dltrain("validate", "--json-schema").out)
    assert set(schema["required"]) == {"dataset", "model", "cost", "optimizer", "train"}
    kinds = {
        "dataset",
        "model",
        "layer",
        "cost",
        "optimizer",
        "schedule",
        "metric",
        "initializer",
        "activation",
    }
    assert kinds <= set(schema["$defs"])
