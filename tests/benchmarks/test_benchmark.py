"""The benchmark runs from end to end on few steps; peers take part only where it is pointed at them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent


def benchmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One thread: two of them, spinning beside other tests on two cores, take many times as long."""
    command = [sys.executable, str(BENCHMARK), "--threads", "1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def stand_in(path: Path, body: str) -> str:
    """A peer's Python that runs `body` in place of the peer's script."""
    path.write_text(f"#!{sys.executable}\nimport json, sys\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_step_times_of_dltrain_and_the_bounds_beside_a_peer_that_works_and_one_that_fails(
    tmp_path: Path,
) -> None:
    file = tmp_path / "steps.json"
    printed = (
        "side, workload, steps = sys.argv[2:5]\n"
        "print(json.dumps({'side': side, 'workload': workload, 'steps': int(steps), 'microseconds': 1.5,"
        " 'loss': 0.7, 'result': 0.5, 'versions': {'torch': '9.9'}}))"
    )
    done = benchmark(
        *("--workload", "softmax", "--steps", "300", "--rounds", "1", "--json", str(file)),
        *("--peer", "torch=" + stand_in(tmp_path / "torch", printed)),
        *("--peer", "jax=" + stand_in(tmp_path / "jax", "sys.exit('no module named jax')")),
    )
    assert done.returncode == 1, done.stderr
    report = json.loads(file.read_text())
    assert report["left_out"].pop("jax") == "no module named jax"
    assert report["left_out"].keys() <= {"dltrain-native"}  # where there is no compiler
    assert "jax is left out: no module named jax" in done.stdout
    sides = report["workloads"]["softmax"]
    assert {"torch", "dltrain-numpy", "numpy-by-hand", "matmul"} <= sides.keys()
    for side, figures in sides.items():
        assert figures["steps"] == 300
        assert figures["best"] == figures["median"] == figures["microseconds"][0] > 0
        assert figures["times_as_fast_by_best"] == pytest.approx(1.5 / figures["best"])
        if side not in ("torch", "matmul"):
            assert figures["result"] > 0.88
    assert report["machine"]["threads"] == 1
    assert {"dltrain", "numpy", "blas", "torch"} <= report["versions"].keys()
    assert "50.00 % ! (0.7000)" in done.stdout  # the stand-in has not learned
    assert f"{sides['matmul']['best']:,.0f}" in done.stdout


@pytest.mark.parametrize(
    "workload",
    ["mlp-adam", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mlp-sgd", "autoencoder"))],
)
def test_dltrain_and_the_bound_do_the_same(tmp_path: Path, workload: str) -> None:
    file = tmp_path / "steps.json"
    done = benchmark("--workload", workload, "--steps", "1", "--rounds", "1", "--json", str(file))
    assert done.returncode == 0, done.stderr
    sides = json.loads(file.read_text())["workloads"][workload]
    by_hand = sides["numpy-by-hand"]
    for side in sides.keys() - {"matmul"}:
        assert sides[side]["loss"] == pytest.approx(by_hand["loss"], rel=5e-3)
        assert sides[side]["result"] == pytest.approx(by_hand["result"], rel=0.02)


def test_functions_of_dltrain(tmp_path: Path) -> None:
    file = tmp_path / "functions.json"
    cases = ("gmm-2x5", "kmeans-1000", "products", "mlp", "rk-1000", "saddle", "lstm-10")
    only = [word for case in cases for word in ("--only", case)]
    done = benchmark("functions", *only, "--tiny", "--rounds", "1", "--json", str(file))
    assert done.returncode == 0, done.stdout
    report = json.loads(file.read_text())
    assert report["cases"].keys() == set(cases)
    for figures in report["cases"].values():
        assert not figures["disagree"]
        assert figures["sides"]["dltrain-numpy"]["best"] > 0


def test_a_peer_whose_function_gives_something_else_is_not_compared_with(tmp_path: Path) -> None:
    file = tmp_path / "functions.json"
    printed = (
        "print(json.dumps({'microseconds': 1.5, 'compile': 0.1, 'digest': [[1, 2, 3, 4]], 'memory': 2**20,"
        " 'versions': {'torch': '9.9'}}))"
    )
    done = benchmark(
        *("functions", "--only", "product", "--tiny", "--rounds", "1", "--json", str(file)),
        *("--peer", "torch=" + stand_in(tmp_path / "torch", printed)),
    )
    assert done.returncode == 1
    assert "dltrain-numpy and torch DISAGREE" in done.stdout
    (figures,) = json.loads(file.read_text())["cases"].values()
    assert figures["disagree"][:2] == ["torch", "numpy"]
    assert {side["times_as_fast"] for side in figures["sides"].values()} == {None}


def test_a_peer_that_is_not_there_is_refused() -> None:
    done = benchmark("--peer", "torch=/no/such/python")
    assert done.returncode == 2
    assert "--peer torch=/no/such/python: not a Python to run" in done.stderr
    done = benchmark("whole", "--peer", "jax=/bin/sh")
    assert done.returncode == 2
    assert "the peers are torch, keras" in done.stderr


@pytest.mark.slow
def test_whole_processes_of_dltrain(tmp_path: Path) -> None:
    file = tmp_path / "whole.json"
    done = benchmark("whole", "--rounds", "1", "--json", str(file))
    assert done.returncode == 0, done.stdout
    report = json.loads(file.read_text())
    fit = report["processes"]["2 epochs of mlp-adam, dltrain"]
    assert fit["test_accuracy"] > 0.95
    assert fit["peak_bytes"] > report["processes"]["python -c pass"]["peak_bytes"]
    assert report["installed"]["dltrain"]["required_bytes"] > 0


@pytest.mark.slow
def test_training_to_98_per_cent(tmp_path: Path) -> None:
    file = tmp_path / "to_98.json"
    done = benchmark("to-98", "--rounds", "1", "--epochs", "2", "--json", str(file))
    assert done.returncode == 0, done.stdout
    (run,) = json.loads(file.read_text())["runs"]["dltrain"]
    assert len(run["epoch_seconds"]) == len(run["epoch_test_accuracies"]) == 2
    assert max(run["epoch_test_accuracies"]) == pytest.approx(run["test_accuracy_of_best"], abs=5e-3)
    assert run["epoch_seconds"][1] < run["seconds_to_end"]


@pytest.mark.slow
def test_this_commit_beside_an_earlier_one(tmp_path: Path) -> None:
    """This commit stands in for the earlier one."""
    earlier, file = tmp_path / "earlier", tmp_path / "figures.json"
    (earlier / ".venv/bin").mkdir(parents=True)
    for name in ("tests", "configs"):
        (earlier / name).symlink_to(BENCHMARK.parents[1] / name)
    python = earlier / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{BENCHMARK.parents[1]}" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    words = ("--workload", "softmax", "--steps", "20", "--rounds", "1", "--json", str(file))
    done = benchmark("before-after", "--before", str(earlier), *words)
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())["figures"]
    assert {"softmax, numpy, us a step", "--help, ms", "fit configs/smoke.yaml, s"} <= figures.keys()
    for compared in figures.values():
        assert compared["ratio"] == pytest.approx(compared["best"]["before"] / compared["best"]["after"])
