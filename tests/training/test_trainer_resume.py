"""A resumed run ends as the uninterrupted one: the same bits, the same rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_helpers import autoencoder_config, busy_config, parsed, softmax_config, write_data

from dltrain.errors import DivergedError, DltrainWarning, RunError
from dltrain.runs.checkpoints import CheckpointStore
from dltrain.runs.directory import RunDirectory
from dltrain.runs.run import Run
from dltrain.training.records import CheckpointSaved, Finished, Record, StepDone


def train(text: str, folder: Path, stop_after: int | None = None) -> list[Record]:
    """Trains into a new run directory, until a step or to the end."""
    run = Run(parsed(text))
    with RunDirectory.create(folder) as directory, run.start(directory, source=text):
        return list(run.records(should_stop=lambda: run.state.step == stop_after))


def resume(folder: Path, text: str | None = None, stop_after: int | None = None) -> list[Record]:
    """Goes on with the run's own config, or another."""
    with RunDirectory.open(str(folder)) as directory:
        directory.lock()
        config = parsed(text) if text else directory.load_config()[1]
        run = Run(config)
        with run.resume(directory):
            return list(run.records(should_stop=lambda: run.state.step == stop_after))


def outcome(folder: Path) -> dict[str, Any]:
    """All that must be equal: values of every variable, rows less their times, summary, counters."""
    store = CheckpointStore(folder / "checkpoints")
    last, best = store.load("last"), store.load("best")
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    counters = last.trainer_state["counters"]
    return {
        "last": {name: array.tobytes() for name, array in last.arrays.items()},
        "best": (best.step, {name: array.tobytes() for name, array in best.arrays.items()}),
        "rows": [{key: cell for key, cell in row.items() if key != "seconds"} for row in rows],
        "lines": (folder / "metrics.jsonl").read_text(),
        "summary": (folder / "summary.json").read_text(),
        "counters": counters,
    }


CONFIGS: dict[str, Callable[..., str]] = {
    "softmax": softmax_config,
    "everything": busy_config,
    "autoencoder": autoencoder_config,
    "counting": lambda data: busy_config(data, epochs=4, early_stopping="{patience: 1, min_delta: 1.0}"),
    "steps": lambda data: busy_config(data, epochs="null", steps=8, checkpoint_every="3 steps"),
}


@pytest.mark.parametrize("name", list(CONFIGS))
def test_stopped_after_any_step(tmp_path: Path, name: str) -> None:
    text = CONFIGS[name](write_data(tmp_path))
    records = train(text, tmp_path / "whole")
    expected = outcome(tmp_path / "whole")
    last = records[-1]
    assert isinstance(last, Finished)
    for step in range(1, last.step + 1):
        folder = tmp_path / f"run-{step}"
        stopped = train(text, folder, stop_after=step)
        assert not isinstance(stopped[-1], Finished)
        rest = resume(folder)
        assert [r.step for r in rest if isinstance(r, StepDone)] == list(range(step + 1, last.step + 1))
        assert outcome(folder) == expected, f"stopped after step {step}"


def test_stopped_after_every_step(tmp_path: Path) -> None:
    text = busy_config(write_data(tmp_path))
    last = train(text, tmp_path / "whole")[-1]
    train(text, tmp_path / "run", stop_after=1)
    for step in range(2, last.step + 1):  # type: ignore[union-attr]
        resume(tmp_path / "run", stop_after=step)
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_stopped_within_an_evaluation(tmp_path: Path) -> None:
    """The checkpoint then is of the epoch's last step, and the evaluation is made again."""
    text = softmax_config(write_data(tmp_path))
    train(text, tmp_path / "whole")
    for after in range(1, 4):  # batches of 10 examples, 4 at a time
        asked = 0

        def should_stop() -> bool:
            nonlocal asked
            asked += 1
            return asked == 6 + after  # noqa: B023

        folder = tmp_path / f"run-{after}"
        run = Run(parsed(text))
        with RunDirectory.create(folder) as directory, run.start(directory, source=text):
            records = list(run.records(should_stop))
        assert [type(record) for record in records[-2:]] == [StepDone, CheckpointSaved]
        assert CheckpointStore(folder / "checkpoints").load("last").step == 6
        resume(folder)
        assert outcome(folder) == outcome(tmp_path / "whole")


def test_rows_after_the_checkpoint_are_made_again(tmp_path: Path) -> None:
    """As after a kill: rows were written that the newest checkpoint does not know."""
    text = softmax_config(write_data(tmp_path), checkpoint_every="2 epochs", keep_best="{mode: max}")
    train(text, tmp_path / "whole")
    train(text, tmp_path / "run", stop_after=10)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 11, "epoch": 2, "split": "batch", "values": {"loss": 1.0}}\n{"half')
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    train(softmax_config(write_data(tmp_path)), tmp_path / "run")
    before = outcome(tmp_path / "run")
    records = resume(tmp_path / "run")
    assert not [record for record in records if isinstance(record, StepDone)]
    assert isinstance(records[-1], Finished)
    assert outcome(tmp_path / "run") == before


@pytest.mark.parametrize("extended", [{"epochs": 5}, {"epochs": "null", "steps": 27}])
def test_a_run_may_be_extended(tmp_path: Path, extended: dict[str, Any]) -> None:
    """Without a schedule, three epochs and more are as good as all at once."""
    data = write_data(tmp_path)
    long = softmax_config(data, **extended)
    train(long, tmp_path / "whole")
    train(softmax_config(data), tmp_path / "run")
    resume(tmp_path / "run", long)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
    with RunDirectory.open(str(tmp_path / "run")) as directory:
        assert directory.load_config()[1] == parsed(long)


def test_extending_goes_on_within_the_epoch(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    text = softmax_config(data, epochs="null", steps=8)
    train(text, tmp_path / "run")
    records = resume(tmp_path / "run", softmax_config(data))
    whole = train(softmax_config(data), tmp_path / "whole")
    losses = [[r.loss for r in each if isinstance(r, StepDone)] for each in (records, whole)]
    assert losses[0] == losses[1][8:]


def test_the_record_of_the_run(tmp_path: Path) -> None:
    text = softmax_config(write_data(tmp_path))
    train(text, tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["exit_code"], record["resumed"]) == ("completed", 0, [])
    resume(tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [again["step"] for again in record["resumed"]] == [18]
    assert (tmp_path / "run" / "config.source.yaml").read_text() == text


def test_another_data_set_is_refused(tmp_path: Path) -> None:
    text = softmax_config(write_data(tmp_path))
    train(text, tmp_path / "run", stop_after=2)
    write_data(tmp_path, train=60)
    with pytest.raises(RunError, match=r"data set has changed .* examples was .*40.* and is .*50"):
        resume(tmp_path / "run")


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    text = softmax_config(write_data(tmp_path))
    train(text, tmp_path / "whole")
    train(text, tmp_path / "run", stop_after=15)
    newest = tmp_path / "run" / "checkpoints" / "step-00000015" / "state.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    with RunDirectory.open(str(tmp_path / "run")) as directory:
        directory.lock()
        run = Run(parsed(text))
        with pytest.warns(DltrainWarning) as warnings:
            resumed = run.resume(directory)
        with resumed:
            assert run.state.step == 12
            list(run.records())
    assert len(warnings) == 1
    assert "step-00000015" in str(warnings[0].message)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_values_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    text = softmax_config(write_data(tmp_path))

    def run_with_infinite_slots() -> None:
        """The loss stays finite: infinity is in a variable that it does not depend on."""
        config = text.replace("{name: sgd, learning_rate: 0.5}", "adagrad")
        run = Run(parsed(config))
        with RunDirectory.create(tmp_path / "run") as directory, run.start(directory, source=config):
            slot = next(v for v in run.network.graph.variables if "adagrad" in v.name)
            run.session.assign(slot, np.full(slot.shape, np.inf, np.float32))
            list(run.records())

    with pytest.raises(DivergedError, match=r"training diverged by step 6: adagrad/"):
        run_with_infinite_slots()
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "diverged"
