"""This commit beside an earlier one, in turn: steps, compilation, whole processes, peak memory."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from processes import REPOSITORY, SideFailedError, run
from reports import machine, machine_line, markdown, median, write_json
from workloads import WORKLOADS

KERNELS = ("native", "numpy")


class Side(NamedTuple):
    """A checkout, with the Python in whose environment it is installed."""

    folder: Path
    python: str


def compare_before(options: argparse.Namespace) -> int:
    """Measures, prints and writes the table. The exit code: 1 if something failed."""
    if options.before is None:
        sys.exit("before-after: give --before FOLDER, a checkout that is installed in FOLDER/.venv")
    sides = {
        "before": Side(options.before, str(options.before / ".venv/bin/python")),
        "after": Side(REPOSITORY, sys.executable),
    }
    described = machine(options.threads)
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for measurement in _measurements(options):
                for name, side in sides.items():
                    print(f"round {number + 1}/{options.rounds}  {measurement}  {name}", file=sys.stderr)
                    try:
                        figures = _measure(options, measurement, side, folder)
                    except SideFailedError as error:
                        print(f"{measurement} failed on the side {name}: {error}", file=sys.stderr)
                        return 1
                    for figure, value in figures.items():
                        found.setdefault(figure, {}).setdefault(name, []).append(value)
    report = {
        "benchmark": "before-after",
        "machine": described,
        "rounds": options.rounds,
        "figures": {figure: _compared(of) for figure, of in found.items()},
    }
    print(machine_line(described, {}))
    print("\nbest and (median); ratio: before / after, above 1 where this commit takes less\n")
    print(markdown(["", "before", "after", "ratio"], [_row(*item) for item in report["figures"].items()]))
    write_json(options.json, report)
    return 0


def _measurements(options: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    for kernels in KERNELS:
        for workload in options.workload:
            yield "steps", kernels, workload
        yield "compile", kernels
        yield "fit", kernels
    yield ("help",)
    yield ("smoke",)


def _measure(
    options: argparse.Namespace, measurement: tuple[str, ...], side: Side, folder: str
) -> dict[str, float]:
    """Name with unit -> value."""
    data = json.dumps(str(options.data))
    dltrain = [side.python, "-m", "dltrain"]
    match measurement:
        case "steps", kernels, workload:
            script = str(side.folder / "tests/benchmarks/dltrain_steps.py")
            steps = str(options.steps or WORKLOADS[workload].steps)
            command = [side.python, script, f"dltrain-{kernels}", workload, steps]
            done = run([*command, str(options.threads), str(options.data)], options.threads, folder)
            printed: dict[str, Any] = json.loads(done.output.splitlines()[-1])
            return {f"{workload}, {kernels}, us a step": printed["microseconds"]}
        case "compile", kernels:
            script = str(REPOSITORY / "tests/benchmarks/compile_times.py")
            done = run([side.python, script, kernels], options.threads, folder)
            times = json.loads(done.output)
            return {f"compile {name}, {kernels}, ms": 1000 * times[name] for name in times}
        case "fit", kernels:
            config = str(side.folder / "configs/mlp.yaml")
            words = [f"dataset.root={data}", "train.epochs=2", "--kernels", kernels]
            done = run([*dltrain, "fit", config, *words], options.threads, folder)
            name = f"fit configs/mlp.yaml, 2 epochs, {kernels}"
            return {f"{name}, s": done.wall, f"{name}, peak MiB": done.peak / 2**20}
        case ("help",):
            return {"--help, ms": 1000 * min(run([*dltrain, "--help"], 1, folder).wall for _ in range(10))}
        case _:
            config = str(side.folder / "configs/smoke.yaml")
            dataset = f"dataset={{name: mnist, root: {data}}}"
            done = run([*dltrain, "fit", config, dataset], options.threads, folder)
            return {"fit configs/smoke.yaml, s": done.wall}


def _compared(of: dict[str, list[float]]) -> dict[str, Any]:
    best = {side: min(values) for side, values in of.items()}
    return {"values": of, "best": best, "ratio": best["before"] / best["after"]}


def _row(figure: str, compared: dict[str, Any]) -> list[str]:
    cells = [
        f"{compared['best'][side]:,.4g} ({median(compared['values'][side]):,.4g})"
        for side in ("before", "after")
    ]
    return [figure, *cells, f"{compared['ratio']:.3f}"]
