"""What training is said to take, against what it takes and against counting by hand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from run_helpers import Dltrain, dltrain_in, parsed, softmax_config, write_data

from dltrain.inspection import resources
from dltrain.inspection.resources import measure_resources

linux = pytest.mark.skipif(not resources.STATUS.exists(), reason="the system tells no process' memory")

# A process begins with the peak of the one that started it, so a small one starts those that are measured.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen([sys.executable, "-m", "dltrain", "fit", *sys.argv[1:]])
_, status, usage = os.wait4(process.pid, 0)
print(status, usage.ru_maxrss * 1024)
"""


def config(data: Path, hidden: list[int]) -> str:
    return f"""
dataset: {{name: npz, path: "{data}"}}
model: {{name: mlp, hidden: {hidden}}}
cost: cross_entropy
optimizer: adam
train: {{epochs: 1, batch_size: 100}}
"""


def write_examples(path: Path, examples: int, dtype: str) -> Path:
    generator = np.random.default_rng(0)
    inputs = generator.integers(0, 2, (examples, 28, 28), dtype=np.uint8).astype(dtype)
    labels = generator.integers(0, 10, examples)
    np.savez(path, x_train=inputs, y_train=labels, x_test=inputs[:200], y_test=labels[:200])
    return path


def predicted_and_measured(path: str, *words: str, folder: Path) -> tuple[float, int, str]:
    """The predicted peak of `fit`, the measured one, and what `validate --resources` printed."""
    validate = [sys.executable, "-m", "dltrain", "validate", path, "--resources"]
    out = subprocess.run(validate, cwd=folder, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^peak +([0-9.]+) MiB: ", out, re.MULTILINE)
    assert found is not None, out
    fit = [sys.executable, "-c", MEASURE, path, "--quiet", *words]
    done = subprocess.run(fit, cwd=folder, capture_output=True, text=True, check=True)
    status, measured = map(int, done.stdout.split())
    assert status == 0, done.stderr
    return float(found[1]) * 2**20, measured, out


@linux
@pytest.mark.parametrize(
    ("hidden", "examples", "dtype"),
    [
        pytest.param([2000, 500], 400, "uint8", id="many parameters"),
        pytest.param([16], 30_000, "float32", id="many data"),
        pytest.param([16], 15_000, "float64", id="data that are converted"),
    ],
)
def test_the_predicted_peak_is_within_a_tenth_of_the_measured(
    hidden: list[int], examples: int, dtype: str, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(config(write_examples(tmp_path / "data.npz", examples, dtype), hidden))
    predicted, measured, out = predicted_and_measured("c.yaml", folder=tmp_path)
    assert predicted == pytest.approx(measured, rel=0.1)
    (state,) = {path.stat().st_size for path in tmp_path.glob("runs/*/checkpoints/step-*/state.safetensors")}
    shown = re.search(r"^checkpoint ([0-9.]+) ([KM])iB$", out, re.MULTILINE)
    assert shown is not None
    assert float(shown[1]) * {"K": 2**10, "M": 2**20}[shown[2]] == pytest.approx(state, rel=0.01)


@pytest.mark.slow
@linux
@pytest.mark.parametrize("name", ["mlp", "softmax", "autoencoder"])
def test_the_predicted_peaks_of_the_configs(name: str, tmp_path: Path) -> None:
    words = ["train.epochs=1", "--run-dir", str(tmp_path / "run")]
    path = f"configs/{name}.yaml"
    predicted, measured, _ = predicted_and_measured(path, *words, folder=Path(__file__).parents[2])
    assert predicted == pytest.approx(measured, rel=0.1)


def test_what_is_counted(tmp_path: Path) -> None:
    """Softmax regression by gradient descent: 4 x 4 bytes to 3 classes; 40, 10 and 23 examples."""
    _, resources = measure_resources(parsed(softmax_config(write_data(tmp_path))))
    assert resources.variables == (16 * 3 + 3) * 4 + 8  # and the step's number
    assert (
        resources.data == (50 + 23) * (16 + 8) + (40 + 10 + 23) * 8
    )  # inputs and labels; rows of the splits
    batches = {split: [(p.batch, p.batches) for p in plans] for split, plans in resources.plans.items()}
    assert batches == {"train": [(7, 5), (5, 1)], "validation": [(4, 2), (2, 1)], "test": [(4, 5), (3, 1)]}
    product = 2 * 16 * 3  # of an example; a training step makes two, forward and for the kernel's gradient
    assert [plan.operations for plan in resources.plans["train"]] == [2 * 7 * product, 2 * 5 * product]
    assert resources.operations("train") == 2 * 40 * product
    assert resources.operations("validation") == 10 * product
    for plan in resources.plans["train"]:
        assert plan.bytes >= plan.batch * (16 * 4 + 16 + 8 + 3 * 4)  # inputs, stored, labels, outputs


@linux
def test_a_larger_model_is_predicted_to_take_as_much_more(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    texts = [
        config(data, hidden).replace("batch_size: 100", "batch_size: 10") for hidden in ([10], [100_000])
    ]
    small, large = (measure_resources(parsed(text))[1].peak for text in texts)
    assert small is not None
    assert large is not None
    more = large.variables - small.variables
    assert more == 3 * 4 * (100_000 - 10) * (16 + 1 + 3)  # Adam has two slots a parameter
    assert large.moment - small.moment == 3 * more


def test_a_system_that_tells_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resources, "STATUS", tmp_path / "none")
    Path("c.yaml").write_text(softmax_config(write_data(tmp_path)))
    result = dltrain_in(capsys)("validate", "c.yaml", "--resources")
    assert result.code == 0
    assert (
        result.out.splitlines()[-1] == "peak       unknown: this system does not tell the memory of a process"
    )


def test_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(softmax_config(write_data(tmp_path)))
    dltrain: Dltrain = dltrain_in(capsys)
    plain, result = dltrain("validate", "c.yaml"), dltrain("validate", "c.yaml", "--resources")
    assert result.code == 0
    assert result.out.startswith(plain.out)
    lines = result.out.removeprefix(plain.out).splitlines()
    assert [line.split()[0] for line in lines] == [
        "memory",
        "plans",
        "operations",
        "checkpoint",
        *(["peak", "training"] if resources.STATUS.exists() else ["peak"]),
    ]
    assert lines[0] == "memory     data set 2.3 KiB, variables 212 B"
    assert lines[2] == "operations 1.3 kFLOP a step, 8.6 kFLOP an epoch"
    assert max(map(len, lines)) <= 110
    assert {path.name for path in Path().iterdir()} == {"c.yaml", "data.npz"}


def test_nothing_is_imported_for_show(tmp_path: Path) -> None:
    """What only training uses is not there: the size of the process is that of what it does."""
    (tmp_path / "c.yaml").write_text(softmax_config(write_data(tmp_path)))
    script = "import sys; from dltrain.cli.main import main; main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", script, "validate", "c.yaml", "--resources"]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert not {"dltrain.cli.fit", "tensorboardX", "google.protobuf"} & set(out.split())
