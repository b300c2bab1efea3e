"""Runs that are not there, damaged, or asked for what they are not: exit 5, and nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from wrong_inputs import Refused

LAST = "runs/mlp-1/checkpoints/step-00000006"
DAMAGED = "use another checkpoint of the run, or train again"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("eval nothing", "no run named 'nothing': runs; give a path, a prefix of a run's name, or latest"),
        ("eval mlp-3", "no run named 'mlp-3': runs; did you mean 'mlp-2', 'mlp-1'?"),
        ("eval mlp", "more than one run starts with 'mlp': runs: 'mlp-1', 'mlp-2'; type more of the name"),
        ("eval runs", "not a run directory: runs: it holds no run.json; give the directory of one run"),
        ("eval c.yaml", "no run named 'c.yaml': runs; give a path, ..."),
        (
            "eval mlp-1 --checkpoint bst",
            "not a checkpoint: bst; write best, last, or a folder such as step-...",
        ),
        (
            "eval mlp-1 --checkpoint step-00000004",
            "no such checkpoint: runs/mlp-1/checkpoints/step-00000004; see the folders ...",
        ),
        (
            "eval mlp-1 --checkpoint runs/mlp-2/checkpoints/step-00000006",
            "checkpoint of another run: runs/mlp-2/checkpoints/step-00000006: it was saved by run ..., "
            "this one is ...; use a checkpoint of this run",
        ),
        ("predict nothing --input a.npy --output a.csv", "no run named 'nothing': runs; give a path, ..."),
        ("fit --resume nothing", "no run named 'nothing': runs; give a path, ..."),
        (
            "fit --resume mlp-1 model.hidden=[9]",
            "model.hidden may not change when a run is resumed: override 'model.hidden=[9]': "
            "it is [8] in the run, [9] now; start a new run; what may change is train.epochs, ...",
        ),
        (
            "fit --resume mlp-1 model=softmax_regression",
            "model.name may not change when a run is resumed: override 'model=softmax_regression': "
            'it is "mlp" in the run, "softmax_regression" now; start a new run; ...',
        ),
        (
            "fit --resume mlp-1 seed=1",
            "seed may not change when a run is resumed: override 'seed=1': it is 0 in the run, 1 now; ...",
        ),
        (
            "fit c.yaml --run-dir runs/mlp-1",
            "run directory is not empty: runs/mlp-1; give another --run-dir ...",
        ),
        ("fit c.yaml --run-dir c.yaml", "not a directory: c.yaml; give another --run-dir"),
    ],
)
@pytest.mark.usefixtures("two_runs")
def test_a_wrong_run(refused: Refused, words: str, expected: str) -> None:
    refused(5, expected, *words.split(), leaves="runs/mlp-1/lock")


def cut(name: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[:-20])


def overwritten(name: str, content: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_text(content)


def changed(name: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_text((run / name).read_text().replace(old, new))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            cut("checkpoints/step-00000006/state.safetensors"),
            f"damaged checkpoint: {LAST}/state...; {DAMAGED}",
        ),
        (cut("checkpoints/step-00000006/checkpoint.json"), f"damaged checkpoint: {LAST}/check...; {DAMAGED}"),
        (
            changed("checkpoints/step-00000006/checkpoint.json", '"step": 6', '"step": 7'),
            f"damaged checkpoint: {LAST}/checkpoint.json: its content does not match its SHA-256; {DAMAGED}",
        ),
        (
            lambda run: (run / "checkpoints/step-00000006/state.safetensors").unlink(),
            f"damaged checkpoint: {LAST}: state.safetensors is missing; {DAMAGED}",
        ),
        (
            lambda run: shutil.rmtree(LAST),
            f"no such checkpoint: {LAST}; see the folders in runs/mlp-1/checkpoints",
        ),
        (
            lambda run: (shutil.rmtree(LAST), shutil.copytree(LAST.replace("mlp-1", "mlp-2"), LAST)),
            f"checkpoint of another run: {LAST}: ...; use a checkpoint of this run",
        ),
        (
            changed("config.yaml", "[8]", "[9]"),
            f"checkpoint and config do not fit: {LAST}: mlp/dense/kernel: "
            "the model needs float32[16, 9], it holds ...; use a checkpoint of this run, ...",
        ),
        (
            overwritten("checkpoints/best", "step-00000003\n"),
            "damaged pointer: runs/mlp-1/checkpoints/best: it says ...; name a checkpoint beside it, ...",
        ),
        (
            lambda run: shutil.rmtree(run / "checkpoints"),
            "run has no best checkpoint: runs/mlp-1/checkpoints; name another checkpoint, ...",
        ),
        (
            overwritten("config.yaml", ""),
            "damaged config of a run: runs/mlp-1/config.yaml: ...; put the original ...",
        ),
        (
            changed("config.yaml", "adam", "adm"),
            "damaged config of a run: runs/mlp-1/config.yaml:...: unknown optimizer 'adm'; put the ...",
        ),
        (
            lambda run: (run / "run.json").unlink(),
            "not a run directory: runs/mlp-1: it holds no run.json; give the directory of one run",
        ),
    ],
)
@pytest.mark.usefixtures("two_runs")
def test_eval_and_predict_of_a_damaged_run(
    refused: Refused, damage: Callable[[Path], object], expected: str
) -> None:
    damage(Path("runs/mlp-1"))
    np.save("in.npy", np.zeros((4, 4), np.uint8))
    refused(5, expected, "eval", "runs/mlp-1")
    refused(5, expected, "predict", "runs/mlp-1", "--input", "in.npy", "--output", "out.csv")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            lambda run: shutil.rmtree(run / "checkpoints"),
            "no folder of checkpoints: runs/mlp-1/checkpoints; start a new run",
        ),
        (
            lambda run: [shutil.rmtree(path) for path in run.glob("checkpoints/step*")],
            "no usable checkpoint: runs/mlp-1/checkpoints; start a new run",
        ),
        (
            overwritten("run.json", "{"),
            "damaged file: runs/mlp-1/run.json: ...; put the original file back, ...",
        ),
        (
            overwritten("run.json", "[]"),
            "damaged file: runs/mlp-1/run.json: it is no record of a run; put ...",
        ),
        (
            cut("metrics.jsonl"),
            "file is shorter than its checkpoint says: runs/mlp-1/metrics.jsonl: ...; put ...",
        ),
        (
            lambda run: (run / "metrics.csv").unlink(),
            "file is missing: runs/mlp-1/metrics.csv; put it back, ...",
        ),
        (
            overwritten("metrics.csv", "x"),
            "damaged file: runs/mlp-1/metrics.csv: its first line ...; put ...",
        ),
        (
            changed("config.yaml", "[8]", "[9]"),
            "model.hidden has changed since the checkpoint was saved: runs/mlp-1/config.yaml: "
            "it was [8], and is [9]; put the original config.yaml back, or start a new run",
        ),
        (
            lambda run: (run / "run.json").write_text('{"resumed": []}'),
            "damaged file: runs/mlp-1/run.json: it holds no id; put ...",
        ),
    ],
)
@pytest.mark.usefixtures("two_runs")
def test_resume_of_a_damaged_run(refused: Refused, damage: Callable[[Path], object], expected: str) -> None:
    damage(Path("runs/mlp-1"))
    refused(5, expected, "fit", "--resume", "mlp-1", "train.epochs=3", leaves="runs/mlp-1/lock")


@pytest.mark.usefixtures("two_runs")
def test_the_data_has_changed_since(refused: Refused) -> None:
    arrays = dict(np.load("data.npz"))
    np.savez("data.npz", **(arrays | {"x_test": arrays["x_test"][:9], "y_test": arrays["y_test"][:9]}))
    expected = "the data set has changed since the run began: dataset: its examples ...; put the original ..."
    refused(5, expected, "eval", "mlp-1")
    refused(5, expected, "fit", "--resume", "mlp-1", leaves="runs/mlp-1/lock")
    Path("data.npz").unlink()
    refused(3, "no such file: .../data.npz; correct the path", "eval", "mlp-1")
