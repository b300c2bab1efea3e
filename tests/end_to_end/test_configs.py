"""The configs that come with dltrain, on the real MNIST."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from run_helpers import Dltrain, dltrain_in

ROOT = Path(__file__).parent.parent.parent
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "configs").rglob("*.yaml"))


@pytest.fixture
def dltrain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    monkeypatch.chdir(ROOT)
    return dltrain_in(capsys)


def test_they_are_all_there() -> None:
    slides = [f"configs/slides/{name}.yaml" for name in ("2_softmax", "3_mlp", "4_autoencoder")]
    names = [f"configs/{name}.yaml" for name in ("autoencoder", "mlp", "smoke", "softmax")]
    assert sorted(names + slides) == CONFIGS


@pytest.mark.parametrize("config", CONFIGS)
def test_fast(dltrain: Dltrain, tmp_path: Path, config: str) -> None:
    result = dltrain("fit", config, "--fast", "--run-dir", tmp_path / "run")
    assert result.code == 0, result.err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["step"] == 5


def test_smoke_takes_less_than_five_seconds(dltrain: Dltrain, tmp_path: Path) -> None:
    start = time.perf_counter()
    result = dltrain(
        "fit", "configs/smoke.yaml", "--run-dir", tmp_path / "run", "--require", "test_accuracy>0.9"
    )
    assert result.code == 0, result.err
    assert time.perf_counter() - start < 5


def test_the_fastest_config_reaches_its_figure(dltrain: Dltrain, tmp_path: Path) -> None:
    words = ("--run-dir", tmp_path / "run", "--quiet", "--require", "test_accuracy>=0.923")
    assert dltrain("fit", "configs/softmax.yaml", *words).code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "requirement"),
    [
        ("configs/mlp.yaml", "test_accuracy>=0.983"),
        ("configs/autoencoder.yaml", "test_mse<=0.0065"),
        ("configs/slides/2_softmax.yaml", "test_accuracy>=0.8973"),
        ("configs/slides/3_mlp.yaml", "test_accuracy>=0.9290"),
    ],
)
def test_the_others_reach_theirs(dltrain: Dltrain, tmp_path: Path, config: str, requirement: str) -> None:
    result = dltrain("fit", config, "--run-dir", tmp_path / "run", "--quiet", "--require", requirement)
    assert result.code == 0, result.err
