"""Damaged, misplaced and foreign checkpoints: told in one line, never believed, never evaluated.

That every flipped bit and every truncation of a small checkpoint is detected is shown in
`training/test_checkpoint_damage.py`.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from reliability.experiment import digest
from reliability.fuzz.repair import sealed, unsealed
from run_helpers import CLASSES, Dltrain, autoencoder_config, dltrain_in, softmax_config, write_data

from dltrain.cli.main import main
from dltrain.errors import RunError
from dltrain.runs.checkpoint_format import MANIFEST, STATE
from dltrain.runs.checkpoints import CheckpointStore

CONFIGS = Path(__file__).parents[2] / "configs"
STEP_10, STEP_20 = "run/checkpoints/step-00000010", "run/checkpoints/step-00000020"
STEPS = {"epochs": "null", "steps": 20, "checkpoint_every": "10 steps", "batch_size": 1, "log_every": 3}


@pytest.fixture(autouse=True)
def unflushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk after a power cut is not looked at here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@contextmanager
def flipped(path: Path, bit: int) -> Iterator[None]:
    """Within the block one bit of the file is another."""

    def flip() -> None:
        with path.open("r+b") as file:
            file.seek(bit // 8)
            byte = file.read(1)[0]
            file.seek(bit // 8)
            file.write(bytes([byte ^ 1 << bit % 8]))

    flip()
    try:
        yield
    finally:
        flip()


def any_bit(chance: random.Random, folder: Path) -> tuple[Path, int]:
    """One of four flips is in the small file, which would hardly be met otherwise."""
    path = folder / chance.choice([STATE, STATE, STATE, MANIFEST])
    return path, chance.randrange(path.stat().st_size * 8)


# --- a checkpoint of the size that users have ---


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model and optimizer of `configs/mlp.yaml` after two steps."""
    folder = tmp_path_factory.mktemp("real")
    chance = np.random.default_rng(0)
    arrays = {
        f"x_{part}": chance.integers(0, 256, (20, 28, 28), dtype=np.uint8) for part in ("train", "test")
    }
    np.savez(folder / "data.npz", **arrays, y_train=np.arange(20) % 10, y_test=np.arange(20) % 10)
    data = f"dataset={{name: npz, path: {folder / 'data.npz'}, validation_size: 4}}"
    words = [
        data,
        "train={steps: 2, batch_size: 8, checkpoint_every: 1 step}",
        "--kernels",
        "numpy",
        "--quiet",
    ]
    assert main(["fit", str(CONFIGS / "mlp.yaml"), *words, "--run-dir", str(folder / "run")]) == 0
    return folder / "run"


@pytest.mark.parametrize("flips", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_any_flipped_bit_of_a_real_checkpoint_is_detected(real_run: Path, flips: int) -> None:
    chance = random.Random(flips)
    store = CheckpointStore(real_run / "checkpoints")
    newest = store.folder / "step-00000002"
    assert (newest / STATE).stat().st_size > 2_500_000
    for number in range(flips):
        path, bit = any_bit(chance, newest)
        with flipped(path, bit):
            with pytest.raises(RunError, match="damaged checkpoint"):
                store.load(newest.name)
            if number % 100 == 0:
                told: list[Path] = []
                assert store.load_newest(lambda folder, error, told=told: told.append(folder)).step == 1
                assert told == [newest]
    assert store.load_newest(lambda folder, error: pytest.fail(str(error))).step == 2


# --- what the commands make of it ---


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of runs of 20 steps, half an epoch, with checkpoints after 10 and 20."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("trained"))
        patch.setattr(os, "fsync", lambda descriptor: None)
        data = write_data(Path())
        text = softmax_config(data, **STEPS)
        configs = {
            "run": text,
            "twin": text,
            "seeded": f"seed: 1\n{text}",
            "optimized": text.replace("name: sgd", "name: sgd, momentum: 0.9"),
            "hidden": text.replace("model: softmax_regression", "model: {name: mlp, hidden: [3]}"),
            "autoencoder": autoencoder_config(data, **STEPS),
        }
        for name, config in configs.items():
            Path("c.yaml").write_text(config)
            words = ["c.yaml", "--run-dir", name, "--kernels", "numpy", "--quiet"]
            assert main(["fit", *words]) == 0
        assert CLASSES == 3  # so that `hidden` has an output layer of the same shape as `run`
        return Path.cwd()


@pytest.fixture
def dltrain(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Dltrain:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return dltrain_in(capsys)


def cut(name: str, length: int) -> Callable[[], object]:
    return lambda: os.truncate(Path(STEP_20, name), length)


def swap(one: str, other: str) -> Callable[[], object]:
    def swapped() -> None:
        Path(one).rename("aside")
        Path(other).rename(one)
        Path("aside").rename(other)

    return swapped


def replace(source: str) -> Callable[[], object]:
    return lambda: (shutil.rmtree(STEP_20), shutil.copytree(source, STEP_20))


def later_format() -> None:
    path = Path(STEP_20, MANIFEST)
    path.write_bytes(sealed(unsealed(path.read_bytes()).replace(b'"format": 2', b'"format": 3')))


DAMAGES: dict[str, Callable[[], object]] = {
    "state cut to nothing": cut(STATE, 0),
    "state cut by a byte": lambda: cut(STATE, Path(STEP_20, STATE).stat().st_size - 1)(),
    "manifest cut": cut(MANIFEST, 100),
    "state gone": lambda: Path(STEP_20, STATE).unlink(),
    "the two files swapped": swap(f"{STEP_20}/{STATE}", f"{STEP_20}/{MANIFEST}"),
    "states of two steps swapped": swap(f"{STEP_20}/{STATE}", f"{STEP_10}/{STATE}"),
    "manifests of two steps swapped": swap(f"{STEP_20}/{MANIFEST}", f"{STEP_10}/{MANIFEST}"),
    "two steps swapped": swap(STEP_20, STEP_10),
    "step 10 copied to step 20": replace(STEP_10),
    "step 10 renamed to step 20": lambda: (shutil.rmtree(STEP_20), Path(STEP_10).rename(STEP_20)),
    "of another run, same config": replace(STEP_20.replace("run", "twin", 1)),
    "of another seed": replace(STEP_20.replace("run", "seeded", 1)),
    "of another optimizer": replace(STEP_20.replace("run", "optimized", 1)),
    "of another model": replace(STEP_20.replace("run", "hidden", 1)),
    "of an autoencoder": replace(STEP_20.replace("run", "autoencoder", 1)),
    "of a later format": later_format,
}
NONE_LEFT = {
    "states of two steps swapped": 3,
    "manifests of two steps swapped": 3,
    "two steps swapped": 3,
    "step 10 renamed to step 20": 2,
    "of a later format": 1,
}
"""After which damage no checkpoint is left to resume from, and the number of lines that say so."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_commands_say(dltrain: Dltrain, trained: Path, damage: str) -> None:
    DAMAGES[damage]()
    evaluated = dltrain("eval", "run", "--checkpoint", "last", "--kernels", "numpy")
    assert (evaluated.code, evaluated.out) == (5, "")
    assert evaluated.err.count("\n") == 1
    assert STEP_20 in evaluated.err
    resumed = dltrain("fit", "--resume", "run", "--kernels", "numpy", "--quiet")
    lines = resumed.err.splitlines()
    assert STEP_20 in lines[0]
    if damage in NONE_LEFT:
        assert resumed.code == 5
        assert len(lines) == NONE_LEFT[damage]
    else:
        assert resumed.code == 0
        assert len(lines) == 1
        assert lines[0].startswith("dltrain: warning: ")
        assert lines[0].endswith("; an earlier checkpoint is used")
        assert digest(Path("run")) == digest(trained / "run")


def test_no_figure_of_a_damaged_checkpoint(dltrain: Dltrain) -> None:
    chance = random.Random(1)
    words = ["eval", "run", "--checkpoint", "last", "--kernels", "numpy", "--json"]
    assert '"accuracy"' in dltrain(*words).out
    for number in range(60):
        path, bit = any_bit(chance, Path(STEP_20))
        if number % 6 == 0:
            path, bit = Path("run/checkpoints/last"), chance.randrange(8 * 20)
        with flipped(path, bit):
            result = dltrain(*words)
        assert (result.code, result.out) == (5, ""), (path, bit)
        assert result.err.count("\n") == 1
    assert '"accuracy"' in dltrain(*words).out


def test_no_figure_of_another_config(dltrain: Dltrain) -> None:
    """One bit of `config.yaml` may make another valid config; only where the data lies may change."""
    config = Path("run/config.yaml")
    text = config.read_text()
    assert "label_smoothing: 0.0\n" in text
    config.write_text(text.replace("label_smoothing: 0.0\n", "label_smoothing: 0.2\n"))
    result = dltrain("eval", "run", "--kernels", "numpy")
    assert (result.code, result.out) == (5, "")
    assert "cost.label_smoothing has changed since the checkpoint was saved: run/config.yaml: " in result.err
    Path("moved").mkdir()
    Path("data.npz").rename("moved/data.npz")
    config.write_text(re.sub("path: .*data.npz", "path: moved/data.npz", text))
    for words in (["eval", "run"], ["fit", "--resume", "run", "--quiet"]):
        result = dltrain(*words, "--kernels", "numpy")
        assert (result.code, result.err) == (0, "")
