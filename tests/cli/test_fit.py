"""`dltrain fit`: what it leaves, prints, refuses."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from run_helpers import Dltrain, autoencoder_config, busy_config, dltrain_in, softmax_config, write_data

from dltrain.runs.directory import RunDirectory
from dltrain.runs.reporter import Reporter
from dltrain.training.state import TrainingState
from dltrain.training.trainer import Trainer


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    """Runs command lines in a folder with `c.yaml`, softmax regression on a tiny data set."""
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(softmax_config(write_data(tmp_path)))
    return dltrain_in(capsys)


def record(folder: str = "run") -> dict[str, object]:
    content: dict[str, object] = json.loads(Path(folder, "run.json").read_text())
    return content


def test_the_run_directory(dltrain: Dltrain) -> None:
    result = dltrain("fit", "c.yaml", "--run-dir", "run", "optimizer.learning_rate=0.25")
    assert result.code == 0
    names = {str(path.relative_to("run")) for path in Path("run").rglob("*") if path.is_dir()}
    assert names >= {"tensorboard/train", "tensorboard/validation", "checkpoints/step-00000018"}
    assert {path.name for path in Path("run").iterdir() if path.is_file()} == {
        "config.yaml",
        "config.source.yaml",
        "run.json",
        "metrics.jsonl",
        "metrics.csv",
        "summary.json",
        "lock",
    }
    assert Path("run/config.source.yaml").read_text() == Path("c.yaml").read_text()
    assert (record()["status"], record()["exit_code"]) == ("completed", 0)
    assert record()["overrides"] == ["optimizer.learning_rate=0.25"]


def test_the_resolved_config_repeats_the_run(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "first", "optimizer.learning_rate=0.25", "seed=5")
    assert dltrain("fit", "first/config.yaml", "--run-dir", "second").code == 0
    for name in ("metrics.jsonl", "summary.json", "config.yaml"):
        assert Path("first", name).read_text() == Path("second", name).read_text()


def test_the_result_line_is_the_test_split_on_the_best_checkpoint(dltrain: Dltrain) -> None:
    words = ("train.epochs=12", "train.keep_best={metric: accuracy}")
    result = dltrain("fit", "c.yaml", "--run-dir", "run", *words)
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["best_step"] < summary["step"]
    test = summary["test"]
    assert result.out.splitlines() == [
        f"test accuracy {100 * test['accuracy']:.2f} %  loss {test['loss']:.4g}  "
        f"(best checkpoint, step {summary['best_step']})",
        "run",
    ]
    again = json.loads(dltrain("eval", "run", "--json").out)
    assert again == {"split": "test", "step": summary["best_step"], **test}


def test_progress_is_one_line_an_epoch_on_stderr(dltrain: Dltrain) -> None:
    result = dltrain("fit", "c.yaml", "--run-dir", "run")
    lines = result.err.splitlines()
    assert len(lines) == 3
    assert re.match(
        r"epoch 1/3  step 6  train loss \S+  validation loss \S+  validation accuracy \S+ %", lines[0]
    )


def test_a_bar(dltrain: Dltrain) -> None:
    result = dltrain("fit", "c.yaml", "--run-dir", "run", "--progress", "bar")
    assert "18/18" in result.err
    assert "epoch 3/3  step 18" in result.err


def test_no_progress_and_quiet(dltrain: Dltrain) -> None:
    result = dltrain("fit", "c.yaml", "--run-dir", "a", "--progress", "none")
    assert result.err == ""
    assert result.out.startswith("test accuracy")
    assert dltrain("fit", "c.yaml", "--run-dir", "b", "--quiet") == (0, "", "")


def test_a_new_directory_below_runs(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "--quiet")
    dltrain("fit", "c.yaml", "--quiet", "--name", "trial")
    names = sorted(path.name for path in Path("runs").iterdir())
    assert re.fullmatch(r"softmax_regression-\d{8}-\d{6}-[a-z0-9]{4}", names[0])
    assert re.fullmatch(r"trial-\d{8}-\d{6}-[a-z0-9]{4}", names[1])
    assert dltrain("eval", "latest").code == 0
    assert "name: trial\n" in Path("runs", names[1], "config.yaml").read_text()


def test_a_schedule_that_a_resume_stretches_is_told(dltrain: Dltrain) -> None:
    Path("busy.yaml").write_text(busy_config(write_data(Path.cwd())))  # 10 steps of one_cycle, up to 0.01
    assert "warning" not in dltrain("fit", "busy.yaml", "--run-dir", "run").err
    assert "warning" not in dltrain("fit", "--resume", "run").err
    result = dltrain("fit", "--resume", "run", "train.epochs=4")
    # 0.01 / 25 / 1e4 at the end; 0.01 * (1 + cos(pi (10 / 19 - 0.3) / 0.7)) / 2 after 10 of 20 steps.
    assert result.err.splitlines()[0] == (
        "dltrain: warning: the learning rate follows another schedule: optimizer.schedule: "
        "the rate of step 11 was 4e-08, of 10 steps, and is 0.00764, of 20; "
        "start a new run for one schedule throughout"
    )
    assert result.err.count("warning") == 1
    assert result.code == 0


def test_resume_extends_and_refuses_conflicts(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "run")
    result = dltrain("fit", "--resume", "run", "train.epochs=4")
    assert result.code == 0
    assert result.err.startswith("epoch 4/4  step 24")
    result = dltrain("fit", "--resume", "run", "optimizer.learning_rate=0.125")
    assert result.code == 5
    assert "optimizer.learning_rate may not change" in result.err
    assert "it is 0.5 in the run, 0.125 now" in result.err
    assert result.err.count("\n") == 1
    assert (record()["status"], record()["exit_code"]) == ("completed", 0)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGUSR1", 138)])
def test_a_signal_finishes_the_step_and_saves(
    dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    before = signal.getsignal(signal.SIGINT)
    dltrain("fit", "c.yaml", "--run-dir", "whole")
    step = Trainer._step

    def step_and_signal(self: Trainer, *arguments: object) -> object:
        if self.state.step == 7:
            os.kill(os.getpid(), getattr(signal, name))
        return step(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", step_and_signal)
        result = dltrain("fit", "c.yaml", "--run-dir", "run")
    assert result.code == code
    assert result.err.splitlines()[-1] == (
        f"dltrain: error: stopped by {name} after step 8; to go on: dltrain fit --resume run"
    )
    assert (record()["status"], record()["exit_code"]) == ("stopped", code)
    assert Path("run/checkpoints/last").read_text().startswith("step-00000008 ")
    assert signal.getsignal(signal.SIGINT) is before
    assert dltrain("fit", "--resume", "run").code == 0
    for file in ("metrics.jsonl", "summary.json"):
        assert Path("run", file).read_text() == Path("whole", file).read_text()


def test_a_second_sigint_leaves_at_once(dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Trainer._step

    def step_and_signals(self: Trainer, *arguments: object) -> object:
        if self.state.step == 7:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", step_and_signals)
        result = dltrain("fit", "c.yaml", "--run-dir", "run")
    assert result.code == 130
    assert Path("run/checkpoints/last").read_text().startswith("step-00000006 ")
    assert (record()["status"], record()["exit_code"]) == ("stopped", 130)
    assert dltrain("fit", "--resume", "run").code == 0


def test_a_signal_after_the_last_step_is_not_forgotten(
    dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while the last checkpoint is saved; what is left is the evaluation on the test split."""
    save = Reporter.save

    def save_and_signal(self: Reporter, state: TrainingState, best: bool) -> Path:
        if state.step == 18:
            os.kill(os.getpid(), signal.SIGTERM)
        return save(self, state, best)

    dltrain("fit", "c.yaml", "--run-dir", "whole")
    with monkeypatch.context() as patch:
        patch.setattr(Reporter, "save", save_and_signal)
        assert dltrain("fit", "c.yaml", "--run-dir", "run").code == 143
    assert (record()["status"], record()["exit_code"]) == ("stopped", 143)
    assert dltrain("fit", "--resume", "run").code == 0
    for file in ("metrics.jsonl", "summary.json"):
        assert Path("run", file).read_text() == Path("whole", file).read_text()


def test_requirements(dltrain: Dltrain) -> None:
    met = ("--require", "test_accuracy>=0.5", "--require", "validation_loss < 1.0")
    assert dltrain("fit", "c.yaml", "--run-dir", "a", *met).code == 0
    result = dltrain("fit", "c.yaml", "--run-dir", "b", *met, "--require", "test_loss<0.001")
    loss = json.loads(Path("b/summary.json").read_text())["test"]["loss"]
    why = f"test loss of the best checkpoint is {loss:.6g}"
    assert result.code == 6
    assert result.err.splitlines()[-1] == f"dltrain: error: requirement not met: test_loss<0.001: {why}"
    assert result.out.splitlines()[-1] == "b"
    assert (record("b")["status"], record("b")["exit_code"]) == ("completed", 6)


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("accuracy>=0.9", "not a requirement"),
        ("test_accuracy=>0.9", "not a requirement"),
        ("test_accuracy", "not a requirement"),
        ("test_accuracy>=high", "'high' is not a number"),
        ("test_accuracy>=nan", "'nan' is not a number"),
        ("test_acuracy>=0.9", "no metric 'acuracy'"),
        ("test_mse<1", "no metric 'mse'"),
        ("tset_accuracy>=0.9", "not a requirement"),
    ],
)
def test_a_bad_requirement_is_refused_before_training(
    dltrain: Dltrain, requirement: str, message: str
) -> None:
    result = dltrain("fit", "c.yaml", "--run-dir", "run", "--require", requirement)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not Path("run").exists()


def test_fast(dltrain: Dltrain) -> None:
    text = softmax_config(write_data(Path.cwd(), train=200), evaluation_batch_size=3)
    Path("big.yaml").write_text(text + "metrics: [confusion_matrix]\n")
    result = dltrain("fit", "big.yaml", "--fast", "--run-dir", "run")
    assert result.code == 0
    assert len(result.err.splitlines()) == 1
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["step"] == 5
    assert sum(map(sum, summary["test"]["confusion_matrix"])) == 2 * 3


def test_divergence(dltrain: Dltrain) -> None:
    data = write_data(Path.cwd())
    text = autoencoder_config(data).replace("[8, 3]", "[8, 3], output_activation: linear")
    Path("c.yaml").write_text(text)
    result = dltrain("fit", "c.yaml", "--run-dir", "run", "optimizer={name: sgd, learning_rate: 1e25}")
    assert result.code == 4
    last = result.err.splitlines()[-1]
    assert re.match(
        r"dltrain: error: training diverged at step \d+ \(epoch \d\): c\.yaml:\d+:\d+ \(\S+\): ", last
    )
    assert "lower optimizer.learning_rate" in last
    assert (record()["status"], record()["exit_code"]) == ("diverged", 4)


def test_a_busy_run_is_refused(dltrain: Dltrain) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "run")
    with RunDirectory.open("run") as directory:
        directory.lock()
        result = dltrain("fit", "--resume", "run")
    assert result.code == 5
    assert "run is in use" in result.err


def test_dropout_and_batch_norm_train(dltrain: Dltrain) -> None:
    Path("busy.yaml").write_text(busy_config(write_data(Path.cwd())))
    assert dltrain("fit", "busy.yaml", "--quiet").code == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["fit"], 2, "missing CONFIG"),
        (["fit", "absent.yaml"], 2, "no such config file"),
        (["fit", "c.yaml", "train.epochs"], 2, "an override without '='"),
        (["fit", "c.yaml", "train.epochs=0"], 2, "train.epochs must be greater than 0"),
        (["fit", "c.yaml", "train.steps=5"], 2, "either epochs or steps: c.yaml"),
        (["fit", "c.yaml", "train.epochs=null"], 2, "either epochs or steps: c.yaml"),
        (["fit", "c.yaml", "train.checkpoint_every=often"], 2, "checkpoint_every must be 'N steps'"),
        (["fit", "c.yaml", "train.max_epochs=3"], 2, "write epochs instead"),
        (["fit", "c.yaml", "optimiser=sgd"], 2, "did you mean 'optimizer'?"),
        (["fit", "c.yaml", "model=autoencoder"], 2, "encoder"),
        (
            ["fit", "c.yaml", "model={name: autoencoder, encoder: [3]}"],
            2,
            "model autoencoder and data set do not",
        ),
        (["fit", "c.yaml", "dataset.target=input"], 2, "model softmax_regression and data set do not fit"),
        (["fit", "c.yaml", "cost=mse"], 2, "cost mse and data set do not fit"),
        (["fit", "c.yaml", "metrics=[mse]"], 2, "metric mse and data set do not fit"),
        (["fit", "c.yaml", "metrics=[accuracy, accuracy]"], 2, "metric 'accuracy' is given twice"),
        (
            ["fit", "c.yaml", "model={name: sequential, layers: [flatten, {name: dense, units: 4}]}"],
            2,
            "3 classes",
        ),
        (["fit", "c.yaml", "dataset.validation_size=50"], 2, "must leave examples to train on"),
        (["fit", "c.yaml", "dataset.path=absent.npz"], 3, "no such file"),
        (["fit", "c.yaml", "dataset=mnist"], 3, "no MNIST data: data/mnist"),
        (["fit", "c.yaml", "name=a/b"], 2, "bad name for a run"),
        (["fit", "c.yaml", "--name", "../up"], 2, "bad name for a run"),
        (["fit", "c.yaml", "--progress", "fancy"], 2, "fancy"),
        (["fit", "c.yaml", "--run-dir", "full"], 5, "run directory is not empty"),
        (["fit", "c.yaml", "--run-dir", "c.yaml"], 5, "not a directory"),
        (["fit", "--resume", "absent"], 5, "no run named 'absent'"),
        (["fit", "--resume", "latest"], 5, "no run yet"),
        (["fit", "--resume", "full"], 5, "holds no run.json"),
        (["fit", "c.yaml", "--resume", "full"], 2, "takes CONFIG from its own directory"),
        (["fit", "--resume", "full", "--name", "x"], 2, "--resume goes on in the run's own directory"),
    ],
)
def test_wrong_input_is_one_clear_line(dltrain: Dltrain, words: list[str], code: int, message: str) -> None:
    Path("full").mkdir()
    Path("full/file").touch()
    result = dltrain(*words)
    assert result.code == code, result.err
    assert message in result.err
    assert result.err.startswith("dltrain: error: ")
    assert result.err.count("\n") == 1, result.err
    assert result.out == ""
    assert not Path("runs").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_no_permission_to_write(dltrain: Dltrain) -> None:
    Path("runs").mkdir(mode=0o500)
    result = dltrain("fit", "c.yaml")
    assert result.code == 7
    assert "cannot create run directory: runs" in result.err


def test_a_folder_that_cannot_be_made(dltrain: Dltrain) -> None:
    Path("runs").touch()
    result = dltrain("fit", "c.yaml")
    assert result.code == 7
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("damage", ["missing", "garbled", "foreign"])
def test_a_damaged_config_of_a_run(dltrain: Dltrain, damage: str) -> None:
    dltrain("fit", "c.yaml", "--run-dir", "run")
    path = Path("run/config.yaml")
    if damage == "missing":
        path.unlink()
    else:
        path.write_text("{" if damage == "garbled" else path.read_text() + "colour: red\n")
    for words in (["fit", "--resume", "run"], ["eval", "run"]):
        result = dltrain(*words)
        assert result.code == 5
        assert "damaged config of a run" in result.err
        assert result.err.count("\n") == 1
