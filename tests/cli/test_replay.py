"""A loss that is not finite: what the error says, what is kept, and `dltrain replay`."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_helpers import Dltrain, autoencoder_config, busy_config, dltrain_in, softmax_config, write_data

from dltrain.datasets import Split
from dltrain.datasets.source import ArraySource
from dltrain.runs.checkpoints import CheckpointStore, read_checkpoint
from dltrain.training.evaluation import Evaluator

DIVERGING = ("optimizer.learning_rate=1e30", "--kernels", "numpy", "--progress", "none")


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(busy_config(write_data(tmp_path), log_every=1))
    return dltrain_in(capsys)


def diverged(dltrain: Dltrain, *words: str) -> str:
    """The one line on stderr of a `fit` whose second step fails."""
    result = dltrain("fit", "c.yaml", "--run-dir", "run", *(words or DIVERGING))
    assert (result.code, result.out) == (4, ""), result
    assert result.err.count("\n") == 1
    return result.err


def test_the_message(dltrain: Dltrain) -> None:
    """The first op, its layer, the line of the config, the range of its input, and what to try."""
    message = diverged(dltrain)
    pattern = (
        r"dltrain: error: training diverged at step 2 \(epoch 1\): c\.yaml:9:7 \(model\.layers\[2\]\): "
        r"it begins at training/sequential/batch_norm/square in layer sequential/batch_norm, computed from "
        r"training/sequential/batch_norm/subtract within (-\S+e\+\d\d) \.\. (\S+e\+\d\d); "
        r"lower optimizer\.learning_rate, set optimizer\.clip_norm, or scale the data; "
        r"to see the step op by op: dltrain replay run\n"
    )
    match = re.fullmatch(pattern, message)
    assert match, message
    assert "- batch_norm" in Path("c.yaml").read_text().splitlines()[8]
    assert max(-float(match[1]), float(match[2])) > 1.8e19  # whose square float32 cannot hold
    assert json.loads(Path("run/run.json").read_text())["status"] == "diverged"


def test_it_is_kept_whole(dltrain: Dltrain) -> None:
    """The variables are those after the first step, the batch is the second."""
    diverged(dltrain)
    kept = read_checkpoint(Path("run/failure"))
    assert kept.step == 1
    first = json.loads(Path("run/metrics.jsonl").read_text().splitlines()[-1])
    assert first["step"] == 1  # nothing is told of a step that was not made
    values = {name: array for name, array in kept.arrays.items() if not name.startswith("batch:")}
    assert values["step"] == 1
    assert {name.split("/")[0] for name in values} == {"sequential", "adam", "step"}
    assert kept.arrays["batch:input"].shape == (9, 4, 4)
    assert kept.arrays["batch:target"].shape == (9,)
    images = np.load("data.npz")["x_train"] / np.float32(255)
    for image in kept.arrays["batch:input"]:
        assert (np.abs(images - image).max(axis=(1, 2)) < 1e-6).any()
    assert not list(Path("run").glob(".*"))


def test_replay_shows_the_same(dltrain: Dltrain) -> None:
    message = diverged(dltrain)
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    Path("data.npz").unlink()  # not needed
    result = dltrain("replay", "run", "--kernels", "numpy")
    assert result.code == 4
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before
    why = message[message.index("it begins at") : message.index("; to see")]
    assert re.fullmatch(
        r"dltrain: error: after step 1: fails again, as recorded: run/config\.yaml:\d+:\d+ "
        rf"\(model\.layers\[2\]\): {re.escape(why)}\n",
        result.err,
    )
    rows = [re.split(r"  +", line) for line in result.out.splitlines()]
    assert rows[0] == ["op", "output", "range", "not finite", "from"]
    assert 10 < len(rows) < 15
    (bad,) = (row for row in rows if row[0].endswith("batch_norm/square"))
    assert bad[1:] == ["float32[9, 8]", "none", "72 inf", "model.layers[2]"]
    assert all(len(row) == 4 for row in rows[1 : rows.index(bad)])  # finite before
    verbose = dltrain("replay", "run", "--verbose", "--kernels", "numpy").out.splitlines()
    assert len(verbose) > 2 * len(rows)
    assert verbose[-1].split()[0].startswith("training/")


def test_a_step_that_does_not_fail_here(dltrain: Dltrain) -> None:
    """As on another machine; here the variables are put right."""
    diverged(dltrain)
    kept = read_checkpoint(Path("run/failure"))
    arrays = {
        name: array if name.startswith("batch:") or not array.ndim else np.zeros_like(array)
        for name, array in kept.arrays.items()
    }
    shutil.rmtree("run/failure")
    CheckpointStore(Path.cwd()).save(1, 1, arrays, kept.trainer_state, best=False).rename("run/failure")
    result = dltrain("replay", "run")
    assert (result.code, result.err) == (0, "")
    last = result.out.splitlines()[-1]
    assert re.fullmatch(r"after step 1: does not fail here, the loss \S+ is finite", last)


def test_a_failure_in_validation(dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("c.yaml").write_text(softmax_config(Path("data.npz")))
    evaluate = Evaluator.__call__

    def evaluate_nan(self: Evaluator, split: Split) -> Any:
        nan = np.full((len(split.source), *split.source.shape), np.nan, np.float32)
        return evaluate(self, Split(ArraySource(nan), split.targets, split.rows, 1.0))

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "__call__", evaluate_nan)
        message = diverged(dltrain, "--quiet")
    assert "training diverged after step 6 (epoch 1), in validation: " in message
    assert "it begins at input" in message
    assert read_checkpoint(Path("run/failure")).arrays["batch:input"].shape == (4, 4, 4)
    result = dltrain("replay", "run")
    assert result.code == 4
    assert "after step 6: fails again, as recorded" in result.err


def test_a_loss_that_rises_beyond_all_use_leaves_its_step_too(dltrain: Dltrain) -> None:
    Path("c.yaml").write_text(softmax_config(Path("data.npz")).replace("0.5", "1e8"))
    message = diverged(dltrain, "--quiet")
    found = re.search(r"at step (\d) .*: the loss: (it rose from .* at the first step to [^;]*); ", message)
    assert found
    made = int(found[1]) - 1
    assert read_checkpoint(Path("run/failure")).arrays["step"] == made  # the step was not made
    result = dltrain("replay", "run", "--kernels", "numpy")
    assert result.code == 4
    assert f"after step {made}: fails again, as recorded: the loss: {found[2]}" in result.err


def test_a_gradient_that_is_not_finite_leaves_its_step_too(dltrain: Dltrain) -> None:
    """Behind weights of 0, all activations are 0, the loss is finite; back come products of large weights."""
    large = "kernel_initializer: {name: random_normal, standard_deviation: 1e25}"
    model = (
        "{name: sequential, layers: [flatten, {name: dense, units: 4, kernel_initializer: zeros}, "
        f"{{name: dense, units: 4, {large}}}, {{name: dense, units: 3, {large}}}]}}"
    )
    Path("c.yaml").write_text(softmax_config(Path("data.npz")).replace("softmax_regression", model))
    message = diverged(dltrain, "--quiet", "--kernels", "numpy")
    found = re.search(r"at step 1 .*: (the new value of \S+kernel would not be finite, [^;]*); ", message)
    assert found, message
    assert read_checkpoint(Path("run/failure")).arrays["step"] == 0  # the step was not made
    result = dltrain("replay", "run", "--kernels", "numpy")
    assert result.code == 4
    assert "after step 0: fails again, as recorded: " in result.err
    assert found[1] in result.err
    assert re.search(r"[1-9]\d* (inf|nan)", result.out)


def test_an_autoencoder_has_no_labels(dltrain: Dltrain) -> None:
    Path("c.yaml").write_text(
        autoencoder_config(Path("data.npz"))
        .replace("adam", "{name: sgd, learning_rate: 1e29}")
        .replace("[8, 3]", "[8, 3], output_activation: linear")
    )
    diverged(dltrain, "--quiet")
    assert "batch:target" not in read_checkpoint(Path("run/failure")).arrays
    assert dltrain("replay", "run").code == 4


def test_resuming_fails_again_and_replaces_it(dltrain: Dltrain) -> None:
    Path("c.yaml").write_text(busy_config(Path("data.npz"), checkpoint_every="1 steps"))
    diverged(dltrain)
    Path("run/failure/old").touch()
    result = dltrain("fit", "--resume", "run", "--quiet", "--kernels", "numpy")
    assert result.code == 4
    assert not Path("run/failure/old").exists()
    assert dltrain("replay", "run", "--kernels", "numpy").code == 4


def test_a_full_disk_is_told_and_the_error_is_the_same(
    dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = os.mkdir

    def full(path: Any, *arguments: Any, **keywords: Any) -> None:
        if "failure" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        mkdir(path, *arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", full)
        message = diverged(dltrain)
    assert "training diverged at step 2" in message
    assert "; the step was not saved: cannot save the step that failed: run/failure: No space left" in message
    assert not list(Path("run").glob(".*"))
    assert not Path("run/failure").exists()


def test_a_run_that_did_not_fail(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "run", "--quiet")
    result = dltrain("replay", "run")
    assert (result.code, result.out) == (5, "")
    assert result.err.startswith("dltrain: error: run has no step that failed: run; ")


@pytest.mark.parametrize("damage", ["flip", "foreign", "unfailed", "no batch", "strange loss"])
def test_a_damaged_failure_is_refused(dltrain: Dltrain, damage: str) -> None:
    diverged(dltrain)
    kept = read_checkpoint(Path("run/failure"))
    state, arrays = kept.trainer_state, kept.arrays
    match damage:
        case "foreign":
            state = state | {"run": "another"}
        case "unfailed":
            state = state | {"failure": None}
        case "strange loss":
            state = state | {"failure": state["failure"] | {"loss": "input"}}
        case "no batch":
            arrays = {name: array for name, array in arrays.items() if name != "batch:target"}
    shutil.rmtree("run/failure")
    CheckpointStore(Path.cwd()).save(1, 1, arrays, state, best=False).rename("run/failure")
    if damage == "flip":
        content = bytearray(Path("run/failure/state.safetensors").read_bytes())
        content[-1] ^= 1
        Path("run/failure/state.safetensors").write_bytes(content)
    result = dltrain("replay", "run")
    assert (result.code, result.out) == (5, "")
    assert "run/failure" in result.err
    assert result.err.count("\n") == 1
