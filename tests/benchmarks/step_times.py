"""The time of one step, side by side."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from typing import Any

from processes import SCRIPTS, SideFailedError, python_of, run
from reports import machine, machine_line, markdown, median, write_json
from workloads import WORKLOADS

PEERS = {
    "torch": "torch_steps.py",
    "torch-compile": "torch_steps.py",
    "jax": "jax_steps.py",
    "tensorflow": "tensorflow_steps.py",
    "tensorflow-xla": "tensorflow_steps.py",
}
OWN = {
    "dltrain-native": "dltrain_steps.py",
    "dltrain-numpy": "dltrain_steps.py",
    "numpy-by-hand": "numpy_steps.py",
    "matmul": "matmul_steps.py",
}
Runs = dict[str, dict[str, list[dict[str, Any]]]]  # side -> workload -> what its process printed each round


def compare_steps(options: argparse.Namespace) -> int:
    """Measures, prints and writes the table. The exit code: 1 if a peer that was asked for failed."""
    described = machine(options.threads)
    sides = [*(peer for peer in PEERS if peer in options.peer), *OWN]
    runs, left_out = _run_all(options, sides)
    report = {
        "benchmark": "steps",
        "machine": described,
        "rounds": options.rounds,
        "versions": _versions(runs),
        "workloads": {name: _figures(runs, name) for name in options.workload},
        "left_out": left_out,
    }
    _print(report)
    write_json(options.json, report)
    return int(any(peer in left_out for peer in options.peer))


def _run_all(options: argparse.Namespace, sides: list[str]) -> tuple[Runs, dict[str, str]]:
    """Round after round, in each all sides on one workload after the other: the machine drifts.

    A side that fails once is left out from then on.
    """
    runs: Runs = {side: {name: [] for name in options.workload} for side in sides}
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for name in options.workload:
                for side in sides:
                    if side in left_out:
                        continue
                    print(f"round {number + 1}/{options.rounds}  {name}  {side}", file=sys.stderr)
                    try:
                        runs[side][name].append(_run_one(options, side, name, folder))
                    except SideFailedError as error:
                        left_out[side] = str(error)
    return {side: runs[side] for side in sides if side not in left_out}, left_out


def _run_one(options: argparse.Namespace, side: str, name: str, folder: str) -> dict[str, Any]:
    script = str(SCRIPTS / (PEERS | OWN)[side])
    steps = options.steps or WORKLOADS[name].steps
    command = [python_of(options.peer, side), script, side, name, str(steps), str(options.threads)]
    printed = run([*command, str(options.data)], options.threads, folder).output
    return json.loads(printed.splitlines()[-1])


def _versions(runs: Runs) -> dict[str, str]:
    """Of everything that took part; where peers' environments differ, all versions there are."""
    found: dict[str, set[str]] = {}
    for of_side in runs.values():
        for printed in (printed for rounds in of_side.values() for printed in rounds):
            for package, version in printed["versions"].items():
                found.setdefault(package, set()).add(version)
    return {package: "/".join(sorted(versions)) for package, versions in found.items()}


def _figures(runs: Runs, name: str) -> dict[str, dict[str, Any]]:
    """Side -> microseconds of each round, best, median; how often as fast as the fastest peer; results."""
    figures: dict[str, dict[str, Any]] = {}
    for side, of_side in runs.items():
        microseconds = [printed["microseconds"] for printed in of_side[name]]
        figures[side] = {
            "steps": of_side[name][0]["steps"],
            "microseconds": microseconds,
            "best": min(microseconds),
            "median": median(microseconds),
            "loss": of_side[name][0]["loss"],
            "result": median([printed["result"] for printed in of_side[name]]) if side != "matmul" else None,
        }
    peers = [side for side in figures if side in PEERS]
    for side in figures:
        for figure in ("best", "median"):
            fastest = min((figures[peer][figure] for peer in peers), default=None)
            ratio = fastest / figures[side][figure] if fastest else None
            figures[side][f"times_as_fast_by_{figure}"] = ratio
    return figures


def _print(report: dict[str, Any]) -> None:
    workloads: dict[str, dict[str, dict[str, Any]]] = report["workloads"]
    sides = list(next(iter(workloads.values())))
    print(machine_line(report["machine"], report["versions"]))
    print(f"\nMicroseconds a step, best and (median) of {report['rounds']} rounds; x: times as fast as the")
    print("fastest peer, by the best and (by the median)\n")
    print(_table(workloads, sides, lambda name, figures: _times(figures)))
    print("\nResult on the test set: accuracy; of the autoencoder mean squared error; ! has not learned.")
    print("In brackets the loss of step 50, from the same first parameters on the same batches\n")
    trained = [side for side in sides if side != "matmul"]
    print(_table(workloads, trained, lambda name, figures: _result(name, figures)))
    print("\ncnn is left out: dltrain has no convolutions yet")
    for side, reason in report["left_out"].items():
        print(f"{side} is left out: {reason}")


def _table(workloads: dict[str, dict[str, dict[str, Any]]], sides: Iterable[str], cell: Any) -> str:
    rows = [[side, *(cell(name, figures[side]) for name, figures in workloads.items())] for side in sides]
    return markdown(["", *workloads], rows)


def _times(figures: dict[str, Any]) -> str:
    times = f"{figures['best']:,.0f} ({figures['median']:,.0f})"
    if figures["times_as_fast_by_best"] is None:
        return times
    return f"{times} {figures['times_as_fast_by_best']:.2f}x ({figures['times_as_fast_by_median']:.2f}x)"


def _result(name: str, figures: dict[str, Any]) -> str:
    workload, result = WORKLOADS[name], figures["result"]
    shown = f"{result:.4f}" if workload.reconstruct else f"{100 * result:.2f} %"
    mark = "" if workload.has_learned(result) else " !"
    return f"{shown}{mark} ({figures['loss']:.4f})"
