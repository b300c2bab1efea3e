"""Whole processes, as a user meets them: start-up, loading, training and evaluation together."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from environments import installed, versions_of
from processes import REPOSITORY, SCRIPTS, Done, SideFailedError, python_of, run
from reports import machine, machine_line, markdown, median, write_json

CONFIG = """\
dataset: {{name: mnist, root: {data}, validation_size: 10000}}
model: {{name: mlp, hidden: [256, 128]}}
cost: cross_entropy
optimizer: {{name: adam, learning_rate: 1e-3}}
train: {{epochs: 2, batch_size: 128}}
"""
FIT = "2 epochs of mlp-adam, "


def compare_whole(options: argparse.Namespace) -> int:
    """Measures, prints and writes the tables. The exit code: 1 if something failed."""
    described = machine(options.threads)
    done: dict[str, list[Done]] = {}
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mlp_adam.yaml").write_text(CONFIG.format(data=json.dumps(str(options.data))))
        for number in range(options.rounds):
            for name, command in _commands(options, number).items():
                if name in left_out:
                    continue
                print(f"round {number + 1}/{options.rounds}  {name}", file=sys.stderr)
                try:
                    done.setdefault(name, []).append(run(command, options.threads, folder))
                except SideFailedError as error:
                    left_out[name] = str(error)
        sizes = {side: installed(options, side, folder) for side in ("dltrain", *options.peer)}
    report = {
        "benchmark": "whole",
        "machine": described,
        "rounds": options.rounds,
        "processes": {name: _figures(done[name]) for name in done if name not in left_out},
        "installed": sizes,
        "left_out": left_out,
    }
    _print(report)
    write_json(options.json, report)
    return int(bool(left_out))


def _commands(options: argparse.Namespace, number: int) -> dict[str, list[str]]:
    """Name -> command. The first round finds caches, of files and of kernels, as they happen to be."""
    dltrain = [sys.executable, "-m", "dltrain"]
    root = json.dumps(str(options.data))
    mlp, smoke = (str(REPOSITORY / "configs" / name) for name in ("mlp.yaml", "smoke.yaml"))
    fit = {FIT + "dltrain": [*dltrain, "fit", "mlp_adam.yaml", "--run-dir", f"fit-{number}"]}
    for peer in options.peer:
        script = str(SCRIPTS / f"{peer}_fit.py")
        fit[FIT + peer] = [python_of(options.peer, peer), script, str(options.data)]
    return fit | {
        "python -c pass": [sys.executable, "-c", "pass"],
        "dltrain --help": [*dltrain, "--help"],
        "dltrain validate configs/mlp.yaml": [*dltrain, "validate", mlp, f"dataset.root={root}"],
        "dltrain fit --fast configs/mlp.yaml": [
            *(*dltrain, "fit", "--fast", mlp, f"dataset.root={root}", "--run-dir", f"fast-{number}")
        ],
        "dltrain fit configs/smoke.yaml": [
            *(
                *dltrain,
                "fit",
                smoke,
                f"dataset={{name: mnist, root: {root}}}",
                "--run-dir",
                f"smoke-{number}",
            )
        ],
    }


def _figures(done: list[Done]) -> dict[str, Any]:
    walls = [each.wall for each in done]
    accuracy = re.search(r"test accuracy ([\d.]+)( %)?", done[-1].output)
    return {
        "seconds": walls,
        "best": min(walls),
        "median": median(walls),
        "cpu_seconds": median([each.cpu for each in done]),
        "peak_bytes": round(median([each.peak for each in done])),
        "test_accuracy": float(accuracy[1]) / (100 if accuracy[2] else 1) if accuracy else None,
    }


def _print(report: dict[str, Any]) -> None:
    print(machine_line(report["machine"], versions_of(report["installed"])))
    print(
        "\nmlp-adam: each side trains on 50,000 images, evaluates 10,000 others after each epoch, saves its"
    )
    print("weights, and evaluates the test set in the end.")
    print(f"Seconds: best and (median) of {report['rounds']} rounds; processor seconds and memory: medians\n")
    processes = report["processes"]
    print(markdown(["", "wall s", "processor s", "peak MiB", "test accuracy"], _rows(processes)))
    for peer in ("torch", "keras"):
        if {FIT + "dltrain", FIT + peer} <= processes.keys():
            print("\n" + _comparison(peer, processes[FIT + "dltrain"], processes[FIT + peer]))
    print(
        "\nInstalled size in MiB: the package with all it requires; the whole environment's site-packages\n"
    )
    rows = [
        [side, f"{size['required_bytes'] / 2**20:.0f}", f"{size['site_packages_bytes'] / 2**20:.0f}"]
        for side, size in report["installed"].items()
    ]
    print(markdown(["", "required", "site-packages"], rows))
    for name, reason in report["left_out"].items():
        print(f"\n{name} is left out: {reason}")


def _rows(processes: dict[str, dict[str, Any]]) -> list[list[str]]:
    return [
        [
            name,
            f"{figures['best']:.3f} ({figures['median']:.3f})",
            f"{figures['cpu_seconds']:.2f}",
            f"{figures['peak_bytes'] / 2**20:.0f}",
            "" if figures["test_accuracy"] is None else f"{100 * figures['test_accuracy']:.2f} %",
        ]
        for name, figures in processes.items()
    ]


def _comparison(peer: str, ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    return (
        f"dltrain against {peer}: {theirs['best'] / ours['best']:.2f} times as fast"
        f" ({theirs['median'] / ours['median']:.2f} by the median),"
        f" {ours['peak_bytes'] / theirs['peak_bytes']:.2f} of its peak memory"
    )
