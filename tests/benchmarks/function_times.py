"""The time of one evaluation of functions that are no layers, side by side; see functions/problems.py."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

from functions.cases import CASES, chosen
from processes import SCRIPTS, SideFailedError, python_of, run
from reports import machine, machine_line, markdown, median, write_json

SECONDS = 1.0  # of timing in each process
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}  # of the results' length


class Side(NamedTuple):
    """A script, and the functions that it has, None for all; ours are compared with the fastest other."""

    script: str
    functions: frozenset[str] | None = None
    is_other: bool = True


PEERS = {
    "torch": Side("torch_side.py"),
    "torch-compile": Side("torch_side.py", frozenset({"gmm", "rk", "kmeans", "products", "product", "mlp"})),
    "jax": Side("jax_side.py"),
    "before": Side("dltrain_side.py", is_other=False),
}
OWN = {
    "numpy": Side("numpy_side.py", frozenset({"product"})),
    "dltrain-native": Side("dltrain_side.py", is_other=False),
    "dltrain-numpy": Side("dltrain_side.py", is_other=False),
}
SIDES = PEERS | OWN
Printed = dict[str, dict[str, list[dict[str, Any]]]]  # case -> side -> what its process printed each round


def compare_functions(options: argparse.Namespace) -> int:
    """Measures, prints and writes the tables. Exit code 1: sides disagree, or a peer failed."""
    described = machine(options.threads)
    sides = [side for side in SIDES if side in OWN or side in options.peer]
    printed, left_out = _run_all(options, sides)
    report = {
        "benchmark": "functions",
        "machine": described,
        "rounds": options.rounds,
        "versions": _versions(printed),
        "cases": {case: _figures(printed[case], case, options.tiny) for case in printed},
        "left_out": left_out,
    }
    _print(report, sides)
    write_json(options.json, report)
    disagree = any(figures["disagree"] for figures in report["cases"].values())
    return int(disagree or any(failed["side"] in options.peer for failed in left_out))


def _run_all(options: argparse.Namespace, sides: list[str]) -> tuple[Printed, list[dict[str, str]]]:
    """Round after round, in each all sides on one case after the other; a side is left out where it failed.

    What they compile they cache in folders of this measurement's own, so that the first round compiles.
    """
    printed: Printed = {case: {} for case in chosen(options.only)}
    left_out: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, case, side in product(range(options.rounds), printed, sides):
            has = SIDES[side].functions
            if has is not None and CASES[case].function not in has:
                continue
            if any(failed["case"] == case and failed["side"] == side for failed in left_out):
                continue
            print(f"round {number + 1}/{options.rounds}  {case}  {side}", file=sys.stderr)
            try:
                printed[case].setdefault(side, []).append(_run_one(options, side, case, folder))
            except SideFailedError as error:
                printed[case].pop(side, None)
                left_out.append({"case": case, "side": side, "why": str(error)})
    return printed, left_out


def _run_one(options: argparse.Namespace, side: str, case: str, folder: str) -> dict[str, Any]:
    script = str(SCRIPTS / "functions" / SIDES[side].script)
    command = [python_of(options.peer, side), script, side, case, str(options.threads)]
    command += ["0", "tiny"] if options.tiny else [str(SECONDS)]
    caches = dict.fromkeys(("XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR"), str(Path(folder, side)))
    return json.loads(run(command, options.threads, folder, variables=caches).output.splitlines()[-1])


def _versions(printed: Printed) -> dict[str, str]:
    rounds = (rounds for of_case in printed.values() for rounds in of_case.values())
    return {package: version for (first, *_) in rounds for package, version in first["versions"].items()}


def _figures(of_case: dict[str, list[dict[str, Any]]], case: str, tiny: bool) -> dict[str, Any]:
    """By side the microseconds, seconds of compiling, bytes, and how many times as fast as the fastest other;
    of the case which sides disagree with the first one, in which case no ratio is given.
    """
    digests = {side: rounds[0]["digest"] for side, rounds in of_case.items()}
    first = next(iter(digests), "")
    tolerance = TOLERANCES[CASES[case].dtype]
    disagree = [side for side in digests if not _agree(digests[first], digests[side], tolerance)]
    others = [side for side in of_case if SIDES[side].is_other]
    best = {side: min(printed["microseconds"] for printed in rounds) for side, rounds in of_case.items()}
    fastest = min((best[side] for side in others), default=None)
    kept = CASES[case].tiny.kept_bytes if tiny else CASES[case].kept_bytes
    return {
        "disagree": [first, *disagree] if disagree else [],
        "kept_bytes": kept,
        "sides": {
            side: {
                "best": best[side],
                "median": median([printed["microseconds"] for printed in rounds]),
                "times_as_fast": fastest / best[side] if fastest and not disagree else None,
                "compile": rounds[0]["compile"],
                "compile_cached": min((printed["compile"] for printed in rounds[1:]), default=None),
                "memory": rounds[0].get("memory"),
                "code": rounds[0].get("code"),
            }
            for side, rounds in of_case.items()
        },
    }


def _agree(ours: list[list[float]], theirs: list[list[float]], tolerance: float) -> bool:
    """Whether results are the same: of each array its length, then its products with random vectors."""
    return len(ours) == len(theirs) and all(
        abs(a - b) <= tolerance * sqrt(len(one)) * one[0]
        for one, other in zip(ours, theirs, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def _print(report: dict[str, Any], sides: list[str]) -> None:
    cases: dict[str, dict[str, Any]] = report["cases"]
    print(machine_line(report["machine"], report["versions"]))
    print(f"\nMicroseconds an evaluation, best and (median) of {report['rounds']} rounds;")
    print("x: times as fast as the fastest of PyTorch, JAX and NumPy\n")
    print(_table(cases, sides, _times))
    print("\nSeconds to compile, the first time and (from a cache)\n")
    print(_table(cases, sides, _compile))
    print("\nMiB an evaluation takes; x: times what an LSTM's gradient needs of all steps\n")
    print(_table(cases, sides, _memory))
    print("\nKiB of C\n")
    print(_table(cases, [side for side in sides if not SIDES[side].is_other], _code))
    for case, figures in cases.items():
        if figures["disagree"]:
            first, *others = figures["disagree"]
            print(f"{case}: {', '.join(others)} and {first} DISAGREE")
    for failed in report["left_out"]:
        print(f"{failed['case']}: {failed['side']} is left out: {failed['why']}")


def _table(cases: dict[str, dict[str, Any]], sides: Iterable[str], cell: Any) -> str:
    sides = list(sides)
    rows = [
        [case, *(cell(figures, figures["sides"][side]) if side in figures["sides"] else "" for side in sides)]
        for case, figures in cases.items()
    ]
    return markdown(["", *sides], rows)


def _times(_: dict[str, Any], figures: dict[str, Any]) -> str:
    times = f"{figures['best']:,.0f} ({figures['median']:,.0f})"
    return times if figures["times_as_fast"] is None else f"{times} {figures['times_as_fast']:.2f}x"


def _compile(_: dict[str, Any], figures: dict[str, Any]) -> str:
    cached = figures["compile_cached"]
    return f"{figures['compile']:.2f}" + ("" if cached is None else f" ({cached:.2f})")


def _memory(case: dict[str, Any], figures: dict[str, Any]) -> str:
    if figures["memory"] is None:
        return ""
    ratio = f" {figures['memory'] / case['kept_bytes']:.2f}x" if case["kept_bytes"] else ""
    return f"{figures['memory'] / 2**20:,.1f}{ratio}"


def _code(_: dict[str, Any], figures: dict[str, Any]) -> str:
    return f"{figures['code'] / 1024:,.1f}" if figures["code"] is not None else ""
