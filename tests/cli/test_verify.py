"""`dltrain verify`: whether a run can be repeated, to the bit."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_helpers import Dltrain, autoencoder_config, busy_config, dltrain_in, softmax_config, write_data

from dltrain.runs.checkpoints import CheckpointStore
from dltrain.training.trainer import Trainer


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(softmax_config(write_data(tmp_path)))
    return dltrain_in(capsys)


def stop_after(patch: pytest.MonkeyPatch, step: int) -> None:
    """Lets a run stop as after a signal, or be killed."""
    original = Trainer._step

    def step_or_stop(self: Trainer, *arguments: Any) -> Any:
        if self.state.step == step:
            raise KeyboardInterrupt
        return original(self, *arguments)

    patch.setattr(Trainer, "_step", step_or_stop)


def content(folder: str = "run") -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def reproduced(dltrain: Dltrain, run: str = "run") -> tuple[int, int]:
    """How much `verify` compared, and up to which step; it must succeed and change nothing."""
    before = content(run)
    result = dltrain("verify", run, "--progress", "none")
    assert (result.code, result.err) == (0, ""), result.err
    assert content(run) == before
    match = re.fullmatch(r"reproduced: (\d+) losses and hashes up to step (\d+) are equal\n", result.out)
    assert match, result.out
    return int(match[1]), int(match[2])


@pytest.mark.parametrize("config", [softmax_config, busy_config, autoencoder_config])
def test_a_run_is_reproduced(dltrain: Dltrain, config: Any) -> None:
    Path("c.yaml").write_text(config(Path("data.npz"), log_every=1))
    dltrain("fit", "c.yaml", "--run-dir", "run")
    lines = Path("run/metrics.jsonl").read_text().splitlines()
    hashes = sum("sha256" in line for line in lines)
    losses = sum('"validation"' not in line for line in lines)
    checkpoints = len(list(Path("run/checkpoints").glob("step-*")))
    last = json.loads(lines[-1])["step"]
    assert reproduced(dltrain) == (hashes + losses + checkpoints, last)


def test_progress_is_as_that_of_fit(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "run")
    result = dltrain("verify", "run")
    assert [line[:9] for line in result.err.splitlines()] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    result = dltrain("verify", "run", "--quiet")
    assert result == (0, "", "")


def test_hashes_are_the_same_in_two_runs_and_tell_of_each_bit(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "run")
    dltrain("fit", "c.yaml", "--run-dir", "other", "seed=1")
    hashes = [
        [json.loads(line).get("sha256") for line in Path(run, "metrics.jsonl").read_text().splitlines()]
        for run in ("run", "other")
    ]
    found = [each for each in (*hashes[0], *hashes[1]) if each]
    assert len(set(found)) == len(found) == 6
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in found)


@pytest.mark.parametrize("step", [1, 5, 6, 7, 13])
def test_stopped_and_resumed_runs(dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    Path("c.yaml").write_text(
        busy_config(Path("data.npz"), epochs=4, log_every=3, checkpoint_every="2 steps")
    )
    with monkeypatch.context() as patch:
        stop_after(patch, step)
        assert dltrain("fit", "c.yaml", "--run-dir", "run").code == 130
    if step > 1:  # else nothing is recorded yet
        assert step - 1 <= reproduced(dltrain)[1] <= step
    for later in (step + 1, step + 4):
        with monkeypatch.context() as patch:
            stop_after(patch, later)
            assert dltrain("fit", "--resume", "run").code == 130
        assert reproduced(dltrain)[1] >= later - 1
    assert dltrain("fit", "--resume", "run").code == 0
    assert reproduced(dltrain)[1] == 20


@pytest.mark.parametrize(
    "changes",
    [
        ["train={epochs: 4, batch_size: 9, log_every: 1}"],  # one_cycle then has another length
        ["train={steps: 8, batch_size: 9, log_every: 2}", "train={epochs: 4, batch_size: 9, log_every: 1}"],
        ["train.early_stopping={patience: 1, min_delta: 1.0}", "train.epochs=6"],
        ["train={epochs: 9, batch_size: 9, early_stopping: {patience: 1, min_delta: 1.0}}"],
    ],
)
def test_runs_that_were_extended(dltrain: Dltrain, changes: list[str]) -> None:
    Path("c.yaml").write_text(busy_config(Path("data.npz")))
    dltrain("fit", "c.yaml", "--run-dir", "run")
    for change in changes:
        assert dltrain("fit", "--resume", "run", change).code == 0
        assert len(json.loads(Path("run/run.json").read_text())["resumed"]) > 0
    last = json.loads(Path("run/metrics.jsonl").read_text().splitlines()[-1])["step"]
    assert reproduced(dltrain)[1] == last


def test_a_bit_in_a_checkpoint_is_found(dltrain: Dltrain) -> None:
    """Of a whole checkpoint, with the right hashes of itself, but of other training."""
    dltrain("fit", "c.yaml", "--run-dir", "run")
    store = CheckpointStore(Path("run/checkpoints"))
    last = store.load("step-00000012")
    kernel = next(array for array in last.arrays.values() if array.size > 3)
    kernel.reshape(-1).view(np.uint8)[0] ^= 1
    shutil.rmtree(last.path)
    other = CheckpointStore(Path.cwd())
    other.save(12, last.epoch, last.arrays, last.trainer_state, best=False).rename(last.path)
    result = dltrain("verify", "run", "--progress", "none")
    assert (result.code, result.out) == (5, "")
    assert re.fullmatch(
        r"dltrain: error: run is not reproduced: run/checkpoints/step-00000012: after step 12 the SHA-256 of "
        r"all variables is [0-9a-f]{64} there, [0-9a-f]{64} now \(all is equal up to step 6\); see .*\n",
        result.err,
    )


@pytest.mark.parametrize(
    ("line", "key", "step", "what"),
    [
        (1, "sha256", 6, "after step 6 the SHA-256 of all variables is 0000"),
        (0, "loss", 3, "at step 3 the loss of its batch is 0.5 there, "),
        (1, "loss", 6, "at step 6 the loss of the epoch is 0.5 there, "),
    ],
)
def test_the_first_step_that_differs(dltrain: Dltrain, line: int, key: str, step: int, what: str) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "run", "train.log_every=3", "train.epochs=1")
    path = Path("run/metrics.jsonl")
    entries = [json.loads(text) for text in path.read_text().splitlines()]
    entries = [entry for entry in entries if (entry["step"], entry["split"]) != (6, "batch")]
    if key == "loss":
        entries[line]["values"]["loss"] = 0.5
    else:
        entries[line]["sha256"] = "0" * 64
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    result = dltrain("verify", "run", "--progress", "none")
    assert (result.code, result.out) == (5, "")
    assert what in result.err
    assert ("nothing was equal before" if step == 3 else "all is equal up to step ") in result.err


def test_other_data_of_the_same_size(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "run")
    arrays = dict(np.load("data.npz"))
    np.savez("data.npz", **(arrays | {"x_train": arrays["x_train"][::-1]}))
    result = dltrain("verify", "run")
    assert result.code == 5
    assert "not reproduced: run/checkpoints/step-00000006: after step 6 the SHA-256 of all " in result.err


def test_another_environment_is_told_beforehand(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "run", "--kernels", "numpy", "--threads", "1")
    assert reproduced(dltrain)[1] == 18  # by its own kernels and threads
    result = dltrain("verify", "run", "--threads", "2")
    assert result.err.splitlines()[0] == (
        "dltrain: warning: results may differ in their last bits: threads was 1, is 2"
    )
    path = Path("run/run.json")
    record = json.loads(path.read_text())
    record["versions"]["numpy"], record["cpu"] = "1.0", "Abacus"
    path.write_text(json.dumps(record))
    first = dltrain("verify", "run").err.splitlines()[0]
    assert re.search(r": numpy was 1\.0, is \S+, cpu was Abacus, is \S+$", first)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metrics.jsonl", "{}\n", "damaged file: run/metrics.jsonl:1: no line of metrics"),
        (
            "metrics.jsonl",
            '{"step": 1e999, "split": "train", "values": {"loss": 1}}\n',
            "damaged file: run/metrics.jsonl:1: no line of metrics",
        ),
        ("metrics.jsonl", "[" * 100_000 + "\n", "damaged file: run/metrics.jsonl:1: no line of metrics"),
        ("run.json", '{"id": "x", "resumed": [{}]}', "damaged file: run/run.json: it does not tell how"),
        ("run.json", '{"id": "x", "resumed": [], "train": {"epochs": -1}}', "damaged file: run/run.json: "),
        ("config.yaml", "", "damaged config of a run: run/config.yaml"),
    ],
)
def test_damaged_files(dltrain: Dltrain, name: str, text: str, message: str) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "run")
    Path("run", name).write_text(text)
    result = dltrain("verify", "run")
    assert (result.code, result.out) == (5, "")
    assert result.err.startswith(f"dltrain: error: {message}")
    assert result.err.count("\n") == 1


def test_nothing_to_verify(dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        dltrain("fit", "c.yaml", "--run-dir", "run")
    result = dltrain("verify", "run")
    assert result.code == 5
    assert "nothing to verify: run: no step is recorded; train the run further" in result.err


def test_metrics_that_are_cut_before_a_checkpoint(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "run")
    Path("run/metrics.jsonl").write_bytes(Path("run/metrics.jsonl").read_bytes()[:100])
    result = dltrain("verify", "run", "--progress", "none")
    assert result.code == 5
    assert "file is shorter than its checkpoint says: run/metrics.jsonl: it has 100 bytes" in result.err
