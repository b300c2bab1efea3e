"""`dltrain plan`: the table, and what is measured for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from run_helpers import (
    Dltrain,
    autoencoder_config,
    busy_config,
    dltrain_in,
    parsed,
    softmax_config,
    write_data,
)

from dltrain.backends.c.compiler import find_compiler
from dltrain.cli.plan import table
from dltrain.inspection import plan as plan_report
from dltrain.inspection.plan import Line, PlanReport, report_plan
from dltrain.runs.run import Run

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")

PRODUCT = Line("compute", "BLAS", 1, ("matmul",), "mlp/dense", (128, 256), 131_072, 2 * 10**6, 20e-6)
TILES = Line("commit", "NumPy", 45, ("add", "multiply", "multiply"), "adam", (10**6,), 4 * 10**6, 0, 60e-6)
REPORT = PlanReport(
    mode="training",
    batch=128,
    kernels="numpy",
    lines=(PRODUCT, TILES),
    parameters=1_000_000,
    variables=12 * 2**20,
    inputs=1000,
    buffers=2048,
    scratch=0,
    run=90e-6,
    source="",
)


@pytest.fixture(autouse=True)
def measured_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_report, "MOST_SECONDS", 0.02)


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(busy_config(write_data(tmp_path)))
    return dltrain_in(capsys)


def test_the_table() -> None:
    lines = table(REPORT)
    assert lines[0] == "training, batch of 128, numpy kernels"
    assert " ".join(lines[3].split()) == "1 compute BLAS matmul mlp/dense 128x256 128.0 KiB 20.0 25.0%"
    assert " ".join(lines[4].split()) == (
        "2 commit NumPy add 2 multiply x45 calls adam 1000000 3.8 MiB 60.0 75.0%"
    )
    assert lines[6] == (
        "memory      variables 12.0 MiB (1,000,000 parameters), inputs 1000 B, buffers 2.0 KiB, scratch 0 B"
    )
    assert lines[7] == "time        46 calls take 80 µs, a whole run 90"
    assert lines[8] == ("products    2.0 MFLOP in matrix products, at 100.0 GFLOP/s, 22% of the run")


def test_the_table_fits_110_columns_whatever_is_in_it() -> None:
    long = replace(
        TILES,
        kernel="loop99",
        calls=99_999,
        ops=("softmax_cross_entropy", *("multiply", "add") * 50),
        scope="training/sequential/a_layer_with_a_long_name/batch_norm",
        shape=(1000, 1000, 1000, 3),
        written=1000 * 2**20,
        seconds=12.3,
    )
    lines = table(replace(REPORT, lines=(long, replace(long, ops=("add", "multiply"), calls=1, shape=()))))
    assert max(map(len, lines)) <= 110
    assert " softmax_c... +100 x99999 calls " in lines[3]
    assert " ...g_name/batch_norm ...x1000x3 " in lines[3]
    assert "add multiply" in lines[4]
    assert "scalar" in lines[4]


@pytest.mark.parametrize("kernels", ["numpy", pytest.param("native", marks=needs_compiler)])
@pytest.mark.parametrize("phase", ["training", "evaluation"])
def test_the_command(dltrain: Dltrain, phase: str, kernels: str) -> None:
    before = Path("c.yaml").stat()
    result = dltrain(
        "plan", "c.yaml", "--phase", phase, "--kernels", kernels, "train.evaluation_batch_size=8"
    )
    assert (result.code, result.err) == (0, "")
    batch = {"training": 9, "evaluation": 8}[phase]
    assert result.out.startswith(f"{phase}, batch of {batch}, {kernels} kernels\n")
    assert "matmul" in result.out
    assert ("loop0" in result.out) == (kernels == "native")
    assert ("commit" in result.out) == (phase == "training")
    assert max(map(len, result.out.splitlines())) <= 110
    assert {path.name for path in Path().iterdir()} == {"c.yaml", "data.npz"}
    assert Path("c.yaml").stat() == before


def test_json_and_what_it_counts(dltrain: Dltrain) -> None:
    """Softmax regression, 4 x 4 pixels to 3 classes, 7 a step, by gradient descent."""
    Path("s.yaml").write_text(softmax_config(Path("data.npz")))
    report = json.loads(dltrain("plan", "s.yaml", "--kernels", "numpy", "--json").out)
    assert report["parameters"] == 51  # 16 * 3 + 3
    assert report["variables"] == 51 * 4 + 8  # and the step's number
    assert report["inputs"] == 7 * 8  # which rows
    products = [line for line in report["lines"] if line["kernel"] == "BLAS"]
    assert [line["operations"] for line in products] == [2 * 7 * 16 * 3] * 2  # forward, kernel's gradient
    assert [line["shape"] for line in products] == [[7, 3], [16, 3]]
    assert [line["written"] for line in products] == [7 * 3 * 4, 16 * 3 * 4]
    assert products[0]["scope"] == "training/softmax_regression/dense"
    assert sum(line["seconds"] for line in report["lines"]) > 0
    assert report["run"] > 0


def test_a_step_is_measured_without_being_taken(tmp_path: Path) -> None:
    prepared = Run(parsed(autoencoder_config(write_data(tmp_path))))
    session = prepared.session
    before = session.state()
    report_plan(prepared, "training")
    after = session.state()
    assert {name: value.tobytes() for name, value in before.items()} == {
        name: value.tobytes() for name, value in after.items()
    }


@needs_compiler
def test_the_generated_source(dltrain: Dltrain, tmp_path: Path) -> None:
    result = dltrain("plan", "c.yaml", "--kernels", "native", "--source")
    assert result.code == 0
    assert "int64_t loop0(char **p, const int64_t *n, int64_t start, int64_t stop) {" in result.out
    assert result.out.startswith("#include <stdint.h>")
    refused = dltrain("plan", "c.yaml", "--kernels", "numpy", "--source")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.endswith("the plan has no C: its kernels are NumPy's; use --kernels native\n")


def test_tiles_of_a_group_are_one_line(tmp_path: Path) -> None:
    """An optimizer's step over 40,003 parameters: two tiles of up to 32,768, each op a call."""
    text = softmax_config(write_data(tmp_path)).replace(
        "model: softmax_regression", "model: {name: mlp, hidden: [2000]}"
    )
    prepared = Run(parsed(text), kernels="numpy")
    report = report_plan(prepared, "training")
    assert prepared.network.parameters == 16 * 2000 + 2000 + 2000 * 3 + 3
    (update,) = [line for line in report.lines if line.shape == (40_003,)]
    assert update.phase == "commit"
    assert update.calls == 2 * len(update.ops)
    assert update.written >= 40_003 * 4


def test_a_bad_config_is_refused(dltrain: Dltrain) -> None:
    result = dltrain("plan", "c.yaml", "model.layers.5.units=4")
    assert (result.code, result.out) == (2, "")
    assert "(model.layers[5])" in result.err
