"""configs/mlp.yaml to 98 % of the test images, against PyTorch with the same recipe.

Each side trains as its user would, saving a checkpoint an epoch. The clock is read whenever a side reports an
epoch; only after the run, which thereby stays as it is, each epoch's checkpoint is evaluated on the test set.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from environments import installed, versions_of
from processes import REPOSITORY, SCRIPTS, Done, SideFailedError, python_of, run
from reports import machine, machine_line, markdown, median, write_json

CONFIG = REPOSITORY / "configs" / "mlp.yaml"
GOAL = 0.98
DLTRAIN = [sys.executable, "-m", "dltrain"]
Trained = tuple[Done, list[float], list[float]]  # cost, seconds until each epoch's report, test accuracies


def compare_to_98(options: argparse.Namespace) -> int:
    """Measures, prints and writes the table. The exit code: 1 if a side failed."""
    described = machine(options.threads)
    sides: dict[str, Callable[..., Trained]] = {"dltrain": train_dltrain}
    if "torch" in options.peer:
        sides["torch"] = train_torch
    runs: dict[str, list[dict[str, Any]]] = {}
    left_out: dict[str, str] = {}
    for seed in range(options.rounds):
        for side in sides:
            if side in left_out:
                continue
            print(f"round {seed + 1}/{options.rounds}  {side}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                try:
                    runs.setdefault(side, []).append(_figures(*sides[side](options, seed, Path(folder))))
                except SideFailedError as error:
                    left_out[side] = str(error)
    runs = {side: runs[side] for side in runs if side not in left_out}
    report = {
        "benchmark": "to-98",
        "machine": described,
        "installed": {side: installed(options, side, tempfile.gettempdir()) for side in sides},
        "runs": runs,
        "left_out": left_out,
    }
    _print(report)
    write_json(options.json, report)
    return int(bool(left_out))


def train_dltrain(options: argparse.Namespace, seed: int, folder: Path) -> Trained:
    """Hard links keep the checkpoints that a run removes when newer ones are there."""
    run_directory, kept = folder / "run", folder / "kept"
    kept.mkdir()
    seconds: list[float] = []

    def keep() -> None:
        for checkpoint in (run_directory / "checkpoints").glob("step-*"):
            if not (kept / checkpoint.name).exists():
                shutil.copytree(checkpoint, kept / checkpoint.name, copy_function=os.link)

    def on_line(line: str, since_start: float) -> None:
        if line.startswith("epoch "):
            seconds.append(since_start)
            keep()

    overrides = [f"seed={seed}", f"dataset.root={json.dumps(str(options.data))}"]
    if options.epochs:
        overrides.append(f"train.epochs={options.epochs}")
    command = [
        *DLTRAIN,
        "fit",
        str(CONFIG),
        *overrides,
        "--run-dir",
        str(run_directory),
        "--progress",
        "plain",
    ]
    done = run(command, options.threads, str(folder), on_line)
    keep()
    accuracies = []
    for checkpoint in sorted(kept.iterdir()):
        command = [*DLTRAIN, "eval", str(run_directory), "--checkpoint", str(checkpoint), "--json"]
        accuracies.append(json.loads(run(command, options.threads, str(folder)).output)["accuracy"])
    return done, seconds, accuracies


def train_torch(options: argparse.Namespace, seed: int, folder: Path) -> Trained:
    seconds: list[float] = []

    def on_line(line: str, since_start: float) -> None:
        if line.startswith("epoch "):
            seconds.append(since_start)

    epochs = options.epochs or int(re.search(r"epochs: (\d+)", CONFIG.read_text())[1])
    script = [python_of(options.peer, "torch"), str(SCRIPTS / "torch_recipe.py")]
    rest = [str(seed), str(options.data), str(folder)]
    done = run([*script, str(epochs), *rest], options.threads, str(folder), on_line)
    tested = run([*script, "TEST", *rest], options.threads, str(folder))
    return done, seconds, json.loads(tested.output)


def _figures(done: Done, seconds: list[float], accuracies: list[float]) -> dict[str, Any]:
    reached = [at for at, accuracy in zip(seconds, accuracies, strict=True) if accuracy >= GOAL]
    best = re.search(r"test accuracy ([\d.]+)( %)?", done.output)
    return {
        "seconds_to_goal": reached[0] if reached else None,
        "seconds_to_end": done.wall,
        "cpu_seconds": done.cpu,
        "peak_bytes": done.peak,
        "epoch_seconds": seconds,
        "epoch_test_accuracies": accuracies,
        "test_accuracy_of_best": float(best[1]) / (100 if best[2] else 1),
    }


def _print(report: dict[str, Any]) -> None:
    runs = report["runs"]
    print(machine_line(report["machine"], versions_of(report["installed"])))
    print("\nconfigs/mlp.yaml, whole process, a seed a round. Seconds: best and (median); else medians\n")
    header = ["", "to 98 % of test s", "to the end s", "test accuracy of best", "peak MiB"]
    print(markdown(header, [_row(side, runs[side]) for side in runs]))
    if len(runs) == 2:
        for figure in ("seconds_to_goal", "seconds_to_end"):
            values = {side: [run[figure] for run in runs[side] if run[figure] is not None] for side in runs}
            if all(values.values()):
                best = min(values["torch"]) / min(values["dltrain"])
                middle = median(values["torch"]) / median(values["dltrain"])
                name = figure.replace("_", " ").replace("goal", "98 %")
                print(f"\n{name}: dltrain is {best:.2f} times as fast ({middle:.2f} by the median)")
    for side, reason in report["left_out"].items():
        print(f"\n{side} is left out: {reason}")


def _row(side: str, runs: list[dict[str, Any]]) -> list[str]:
    def seconds(figure: str) -> str:
        values = [run[figure] for run in runs if run[figure] is not None]
        missed = f", not reached in {len(runs) - len(values)}" if len(values) < len(runs) else ""
        return f"{min(values):.2f} ({median(values):.2f}){missed}" if values else "not reached"

    return [
        side,
        seconds("seconds_to_goal"),
        seconds("seconds_to_end"),
        f"{100 * median([run['test_accuracy_of_best'] for run in runs]):.2f} %",
        f"{median([run['peak_bytes'] for run in runs]) / 2**20:.0f}",
    ]
