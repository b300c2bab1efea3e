"""How each side is asked and timed. Needs NumPy alone, so that every peer can use it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from cases import CASES, Case

CHUNK = 0.005  # seconds that are timed at once, or one evaluation: a busy machine disturbs few so short ones


class Evaluation(NamedTuple):
    """A function of one side, ready to run.

    Attributes:
        run: evaluates it once, to the end.
        arrays: of what `run` returned, the results that all sides must agree on.
        figures: what else the side says, once it has run: `memory` in bytes, `code` in bytes.
    """

    run: Callable[[], Any]
    arrays: Callable[[Any], list[Any]]
    figures: Callable[[], dict[str, int]] = dict


class Asked(NamedTuple):
    """What a script of one side is asked on its command line: SIDE CASE THREADS SECONDS [tiny]."""

    side: str
    case: Case
    threads: int
    seconds: float


def asked() -> Asked:
    side, name, threads, seconds, *tiny = sys.argv[1:]
    return Asked(side, CASES[name].tiny if tiny else CASES[name], int(threads), float(seconds))


def measure(asked: Asked, build: Callable[[], Evaluation], versions: dict[str, str]) -> None:
    """Builds, checks and times the function, and prints one line of JSON.

    In it are the microseconds of an evaluation in the best of the chunks that fit into the time; the seconds
    from nothing to the end of the first evaluation, the third one's taken off; and a digest of its results.
    """
    start = perf_counter()
    evaluation = build()
    outputs = evaluation.run()
    first = perf_counter() - start
    digest = [_digest(np.asarray(array)) for array in evaluation.arrays(outputs)]
    evaluation.run()
    once = _seconds(evaluation.run, 1)
    count = max(1, round(CHUNK / once))
    best, end = once, perf_counter() + asked.seconds
    while perf_counter() < end:
        best = min(best, _seconds(evaluation.run, count) / count)
    report = {
        "microseconds": best * 1e6,
        "compile": max(0.0, first - once),
        "digest": digest,
        "versions": versions,
    }
    print(json.dumps(report | evaluation.figures()), flush=True)


def _seconds(run: Callable[[], Any], count: int) -> float:
    start = perf_counter()
    for _ in range(count):
        run()
    return perf_counter() - start


def _digest(array: np.ndarray) -> list[float]:
    """Of an array of any size its length as a vector, and its products with three random vectors."""
    directions = np.random.default_rng(1).standard_normal((3, array.size))
    flat = array.astype(np.float64).ravel()
    return [float(np.sqrt(flat @ flat)), *(float(product) for product in directions @ flat)]
