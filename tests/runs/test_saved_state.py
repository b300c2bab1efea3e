"""Which checkpoints a run may be resumed from: its own, and of its own config."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_helpers import Dltrain, dltrain_in, softmax_config, write_data

from dltrain.runs.checkpoints import CheckpointStore
from dltrain.runs.reporter import Reporter

STEP_12, STEP_18 = "run/checkpoints/step-00000012", "run/checkpoints/step-00000018"


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    """Runs command lines in a folder with a run of 3 epochs, 18 steps, that has checkpoints 12 and 18."""
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(softmax_config(write_data(tmp_path)))
    run = dltrain_in(capsys)
    assert run("fit", "c.yaml", "--run-dir", "run").code == 0
    return run


def files() -> dict[str, str]:
    return {name: Path("run", name).read_text() for name in ("metrics.jsonl", "summary.json")}


def test_a_checkpoint_of_another_run_is_passed_over(dltrain: Dltrain) -> None:
    """Even of one with the same config, whose files may be of another length."""
    expected = files()
    dltrain("fit", "c.yaml", "--run-dir", "other")
    shutil.rmtree(STEP_18)
    shutil.copytree(STEP_18.replace("run/", "other/"), STEP_18)
    result = dltrain("eval", "run", "--checkpoint", "last")
    assert (result.code, result.out) == (5, "")
    assert f"checkpoint of another run: {STEP_18}: it was saved by run " in result.err
    result = dltrain("fit", "--resume", "run")
    assert result.code == 0
    first, second = result.err.splitlines()[:2]
    assert first.startswith(f"dltrain: warning: checkpoint of another run: {STEP_18}: ")
    assert first.endswith("; an earlier checkpoint is used")
    assert second.startswith("epoch 3/3")
    assert files() == expected
    assert dltrain("eval", "run").code == 0


def test_a_copied_run_is_the_same_run(dltrain: Dltrain) -> None:
    shutil.copytree("run", "copy")
    assert dltrain("fit", "--resume", "copy", "train.epochs=4").code == 0
    assert dltrain("eval", "copy").code == 0


def test_a_renamed_checkpoint_is_passed_over(dltrain: Dltrain) -> None:
    shutil.rmtree(STEP_18)
    shutil.copytree(STEP_12, STEP_18)
    result = dltrain("fit", "--resume", "run")
    assert result.code == 0
    assert f"damaged checkpoint: {STEP_18}: it holds step 12; " in result.err.splitlines()[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "learning_rate: 0.5",
            "learning_rate: 0.25",
            "optimizer.learning_rate has changed since the checkpoint was saved: run/config.yaml: "
            "it was 0.5, and is 0.25; put the original config.yaml back, or start a new run",
        ),
        ("seed: 0", "seed: 1", "seed has changed since the checkpoint was saved: run/config.yaml: it was 0,"),
    ],
)
def test_an_edited_config_is_a_conflict(dltrain: Dltrain, old: str, new: str, message: str) -> None:
    config = Path("run/config.yaml")
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))
    result = dltrain("fit", "--resume", "run", "train.epochs=4")
    assert result.code == 5
    assert message in result.err
    assert result.err.count("\n") == 1


def put(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = value

    return change


CHANGES: list[Callable[[dict[str, Any]], object]] = [
    lambda state: state.clear(),
    lambda state: state.pop("run"),
    lambda state: state["counters"].pop("waited"),
    put("more", value=1),
    put("run", value=7),
    put("config", value=[]),
    put("config", value={}),
    put("config", "seed", value="\x1b[31m"),
    put("config", "model", value={"name": "os.system"}),
    put("counters", "step", value=17),
    put("counters", "step", value=-1),
    put("counters", "step", value=True),
    put("counters", "epoch", value=10**30),
    put("counters", "epoch", value=5),
    put("counters", "batches", value=10**6),
    put("counters", "loss_sum", value="0"),
    put("counters", "best", value={"loss": []}),
    put("counters", "loss_sum", value=10**400),
    put("counters", "best_step", value=10**39),
    put("counters", "epoch", value=1e39),
    put("files", value={"metrics.csv": 0}),
    put("files", "metrics.jsonl", value=-1),
    put("files", "metrics.jsonl", value=10**12),
    put("files", value={"metrics.jsonl": 0, "../../passwords": 0}),
    put("data", "input_shape", value=[10**9, 10**9]),
    put("data", "input_shape", value="4"),
    put("data", "classes", value=3),
    put("data", "target", value=None),
    put("data", "target", value={}),
    put("data", "target", value={"kind": "os.system", "shape": []}),
    put("data", "target", value={"kind": []}),
    put("data", "target", value={"kind": "label", "shape": [], "classes": 0}),
    put("data", "target", value={"kind": "label", "shape": [], "classes": True}),
    put("data", "target", value={"kind": "label", "shape": [], "classes": 3, "more": 1}),
    put("data", "target", value={"kind": "numbers", "shape": [-1]}),
    put("data", "target", value={"kind": "numbers", "shape": "4"}),
    put("data", "examples", value={"train": 41}),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_strangers_checkpoint_is_refused(dltrain: Dltrain, number: int) -> None:
    """Whole, with the right hashes, and what it says cannot be: exit 5 and no traceback."""
    store = CheckpointStore(Path("run/checkpoints"))
    loaded = store.load("last")
    state = copy.deepcopy(loaded.trainer_state)
    CHANGES[number](state)
    store.save(loaded.step, loaded.epoch, loaded.arrays, state, best=True)
    for path in Path("run/checkpoints").glob("step-*"):
        if path.name != loaded.path.name:
            shutil.rmtree(path)
    result = dltrain("fit", "--resume", "run", "train.epochs=4")
    assert (result.code, result.out) == (5, "")
    assert result.err.count("\n") <= 2
    assert "\x1b" not in result.err


@pytest.mark.parametrize("value", [1e39, 1e308, 10**39, float("inf")])
@pytest.mark.parametrize("key", ["loss_sum", "first_loss", "learning_rate", "best_value", "final"])
def test_numbers_too_large_for_the_rest(dltrain: Dltrain, key: str, value: float) -> None:
    """A whole checkpoint whose counters are numbers that no training gives: no traceback."""
    store = CheckpointStore(Path("run/checkpoints"))
    loaded = store.load("last")
    state = copy.deepcopy(loaded.trainer_state)
    state["counters"][key] = {"loss": value} if key == "final" else value
    store.save(loaded.step, loaded.epoch, loaded.arrays, state, best=True)
    for words in (["fit", "--resume", "run", "train.epochs=4"], ["eval", "run"], ["verify", "run"]):
        assert dltrain(*words, "--kernels", "numpy").code in (0, 5)


def test_help_states_what_may_change(dltrain: Dltrain) -> None:
    text = " ".join(dltrain("fit", "--help").out.split())
    for key in ("train.epochs", "train.steps", "train.early_stopping", "train.checkpoint_every"):
        assert key in text
    assert "what else differs from the run's config is refused (exit 5)" in text


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("train.epochs=4", 0),
        ("train={epochs: null, steps: 20, batch_size: 7, evaluation_batch_size: 4}", 0),
        ("train.early_stopping={patience: 3}", 0),
        ("train.checkpoint_every=2 steps", 0),
        ("train.log_every=null", 0),
        ("name=other", 5),
        ("seed=1", 5),
        ("dataset.validation_size=5", 5),
        ("dataset.scale=1.0", 5),
        ("model={name: mlp, hidden: [3]}", 5),
        ("cost.l2=0.1", 5),
        ("optimizer.learning_rate=0.25", 5),
        ("optimizer=adam", 5),
        ("metrics=[accuracy, top_k_accuracy]", 5),
        ("train.batch_size=8", 5),
        ("train.evaluation_batch_size=8", 5),
        ("train.keep_best={metric: accuracy}", 5),
    ],
)
def test_what_may_change_and_what_not(dltrain: Dltrain, override: str, code: int) -> None:
    result = dltrain("fit", "--resume", "run", override)
    assert result.code == code, result.err
    if code:
        assert result.err.count("\n") == 1
        assert " in the run, " in result.err


def test_another_environment_is_one_warning(dltrain: Dltrain) -> None:
    path = Path("run/run.json")
    record = json.loads(path.read_text())
    record["versions"]["numpy"] = "2.0.\x1b[31m1"
    record["cpu"] = "8086"
    path.write_text(json.dumps(record))
    result = dltrain("fit", "--resume", "run", "train.epochs=4")
    assert result.code == 0
    warning, *others = result.err.splitlines()
    assert warning.startswith(
        "dltrain: warning: results may differ in their last bits: numpy was 2.0.\\x1b[31m1,"
    )
    assert ", cpu was 8086, is " in warning
    assert not [line for line in others if "warning" in line]


def test_a_run_killed_before_its_first_checkpoint_begins_again(
    dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = files()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Reporter, "save", killed)
        dltrain("fit", "c.yaml", "--run-dir", "early", "train.log_every=1")
    shutil.rmtree("run")
    Path("early").rename("run")
    assert Path("run/metrics.jsonl").read_text()
    result = dltrain("fit", "--resume", "run", "train.log_every=100")
    assert result.code == 0
    assert result.err.splitlines()[0] == (
        "dltrain: warning: run has no checkpoint yet: it begins again at its first step"
    )
    assert files() == expected


@pytest.mark.parametrize("lost", [["checkpoints"], ["checkpoints", "summary.json"]])
def test_the_figures_of_a_run_whose_checkpoints_are_lost_stay(dltrain: Dltrain, lost: list[str]) -> None:
    for path in (Path("run", name) for name in lost):
        for file in path.iterdir() if path.is_dir() else [path]:
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    expected = Path("run/metrics.jsonl").read_text()
    result = dltrain("fit", "--resume", "run", "train.epochs=1")
    assert (result.code, result.out) == (5, "")
    assert result.err == "dltrain: error: no usable checkpoint: run/checkpoints; start a new run\n"
    assert Path("run/metrics.jsonl").read_text() == expected
