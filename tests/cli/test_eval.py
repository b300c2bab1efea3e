"""`dltrain eval`: figures of a checkpoint, as lines and as JSON; never of a damaged one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_helpers import Dltrain, autoencoder_config, dltrain_in, softmax_config, write_data


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    """Runs command lines in a folder with a trained run of softmax regression."""
    monkeypatch.chdir(tmp_path)
    text = softmax_config(write_data(tmp_path), epochs=12, keep_best="{metric: accuracy}")
    Path("c.yaml").write_text(text + "metrics: [accuracy, confusion_matrix]\n")
    run = dltrain_in(capsys)
    assert run("fit", "c.yaml", "--run-dir", "run", "--quiet").code == 0
    return run


def test_json_has_split_step_and_every_figure(dltrain: Dltrain) -> None:
    result = dltrain("eval", "run", "--json")
    figures = json.loads(result.out)
    assert list(figures) == ["split", "step", "loss", "accuracy", "confusion_matrix"]
    matrix = figures["confusion_matrix"]
    assert sum(map(sum, matrix)) == 23
    assert figures["accuracy"] == pytest.approx(sum(matrix[k][k] for k in range(3)) / 23)
    assert result.err == ""


def test_text(dltrain: Dltrain) -> None:
    figures = json.loads(dltrain("eval", "run", "--json").out)
    lines = dltrain("eval", "run").out.splitlines()
    assert lines[0] == (
        f"test accuracy {100 * figures['accuracy']:.2f} %  loss {figures['loss']:.4g}  "
        f"(23 examples, step {figures['step']})"
    )
    assert lines[1] == "confusion_matrix"
    assert [[int(cell) for cell in line.split()] for line in lines[2:]] == figures["confusion_matrix"]


def test_splits_and_checkpoints(dltrain: Dltrain) -> None:
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["best_step"] < summary["step"] == 72
    best = json.loads(dltrain("eval", "run", "--split", "validation", "--json").out)
    assert best["step"] == summary["best_step"]
    assert {name: best[name] for name in ("loss", "accuracy")} == summary["best"]
    last = json.loads(dltrain("eval", "run", "--split", "validation", "--checkpoint", "last", "--json").out)
    assert {name: last[name] for name in ("loss", "accuracy")} == summary["final"]
    train = json.loads(dltrain("eval", "run", "--split", "train", "--json").out)
    assert sum(map(sum, train["confusion_matrix"])) == 40
    for path in ("step-00000072", "run/checkpoints/step-00000072"):
        again = dltrain("eval", "run", "--split", "validation", "--checkpoint", path, "--json")
        assert json.loads(again.out) == last


def test_a_run_is_found_by_path_prefix_or_latest(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "--name", "trial", "--quiet")
    figures = dltrain("eval", "runs/" + next(Path("runs").iterdir()).name, "--json").out
    assert dltrain("eval", "tri", "--json").out == figures
    assert dltrain("eval", "latest", "--json").out == figures


def test_an_autoencoder(dltrain: Dltrain) -> None:
    Path("a.yaml").write_text(autoencoder_config(write_data(Path.cwd())))
    dltrain("fit", "a.yaml", "--run-dir", "auto", "--quiet")
    figures = json.loads(dltrain("eval", "auto", "--json").out)
    assert figures["mse"] == pytest.approx(figures["loss"], rel=1e-6)


def test_a_run_without_validation(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "dataset.validation_size=0", "--run-dir", "all", "--quiet")
    result = dltrain("eval", "all", "--split", "validation")
    assert (result.code, result.out) == (2, "")
    assert "no validation split" in result.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["eval"], 2, "missing argument"),
        (["eval", "absent"], 5, "no run named 'absent'"),
        (["eval", "run", "--checkpoint", "step-00000071"], 5, "no such checkpoint"),
        (["eval", "run", "--checkpoint", "worst"], 5, "not a checkpoint"),
        (["eval", "run", "--split", "all"], 2, "'all' is not one of"),
    ],
)
def test_wrong_input_is_one_clear_line(dltrain: Dltrain, words: list[str], code: int, message: str) -> None:
    result = dltrain(*words)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("file", ["state.safetensors", "checkpoint.json"])
def test_a_damaged_checkpoint_gives_no_figure(dltrain: Dltrain, file: str) -> None:
    path = Path("run/checkpoints/step-00000072", file)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    result = dltrain("eval", "run", "--checkpoint", "last")
    assert (result.code, result.out) == (5, "")
    assert "step-00000072" in result.err
    assert result.err.count("\n") == 1


def test_data_that_is_gone_or_another(dltrain: Dltrain) -> None:
    write_data(Path.cwd(), train=30)
    result = dltrain("eval", "run")
    assert (result.code, result.out) == (5, "")
    assert "the data set has changed" in result.err
    Path("data.npz").unlink()
    result = dltrain("eval", "run")
    assert (result.code, result.out) == (3, "")


def test_a_checkpoint_of_another_model(dltrain: Dltrain) -> None:
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace("name: softmax_regression\n", "name: mlp\n  hidden: [5]\n"))
    result = dltrain("eval", "run")
    assert (result.code, result.out) == (5, "")
    assert "checkpoint and config do not fit" in result.err
