"""What the calls of a plan compute, how long each takes, and what they reach together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from math import inf, prod
from posixpath import commonpath, dirname
from time import perf_counter
from typing import Literal

import numpy as np

from dltrain.backends.memory import distinct_bytes
from dltrain.compiler.ir import Node
from dltrain.execution.plan import Plan
from dltrain.runs.run import Run
from dltrain.training.batches import BatchFunction

Mode = Literal["training", "evaluation"]

MOST_SECONDS = 0.5  # of measuring
FEWEST_REPETITIONS = 5


@dataclass(frozen=True)
class Line:
    """Calls in a row that compute one group, and the least time they took.

    Attributes:
        phase: "compute", or "commit" for what writes variables after the guard.
        kernel: what the calls call: "NumPy", "BLAS", the name of a C function; else "Python".
        calls: more than one where the group is computed in tiles, an op and a tile a call.
        ops: labels of the nodes' ops in order.
        scope: what the names of all nodes begin with; empty if they share nothing.
        shape: of the largest node.
        written: bytes of the arrays that the calls fill.
        operations: floating-point operations of the matrix products among the nodes.
        seconds: of all calls.
    """

    phase: str
    kernel: str
    calls: int
    ops: tuple[str, ...]
    scope: str
    shape: tuple[int, ...]
    written: int
    operations: int
    seconds: float


@dataclass(frozen=True)
class PlanReport:
    """A plan, measured on a batch of the data set.

    Attributes:
        kernels: "native" or "numpy".
        parameters: how many trainable numbers the model has.
        variables, inputs, buffers, scratch: bytes of all variables, and of the plan's memory; without stored
            examples.
        run: seconds of a whole run of the plan, which holds those of all lines.
        source: the generated C; empty if there is none.
    """

    mode: Mode
    batch: int
    kernels: str
    lines: tuple[Line, ...]
    parameters: int
    variables: int
    inputs: int
    buffers: int
    scratch: int
    run: float
    source: str

    @property
    def in_calls(self) -> float:
        """Seconds of all calls."""
        return sum(line.seconds for line in self.lines)


def report_plan(run: Run, mode: Mode) -> PlanReport:
    """Compiles, fills, runs and times the plan of a training step, or of evaluating a batch.

    Every repetition starts from the same variables and the same batch; the times are the least of them. The
    session's variables are afterwards as they were.

    Raises:
        DivergedError: the loss of the batch is not finite.
    """
    splits, session = run.data.splits, run.session
    split = splits["train"] if mode == "training" else splits.get("validation", splits["train"])
    function, size = batch_function(run, mode)
    index = np.arange(min(size, len(split)))
    values = session.state()
    (batch,) = function.batches(split, [index])
    function(batch)  # whatever is wrong is told by this
    plan = function.bound(split, len(index)).plan
    seconds, whole = _least_times(plan, restore=lambda: session.load_state(values))
    return PlanReport(
        mode=mode,
        batch=len(index),
        kernels=session.kernels,
        lines=tuple(_lines(plan, seconds)),
        parameters=run.network.parameters,
        variables=sum(value.nbytes for value in values.values()),
        inputs=sum(array.nbytes for array in plan.inputs),
        buffers=plan.buffers,
        scratch=plan.scratch,
        run=whole,
        source=plan.source,
    )


def batch_function(run: Run, mode: Mode) -> tuple[BatchFunction, int]:
    """What `fit` does with a batch, and how many examples a full one has."""
    config, network = run.config.train, run.network
    if mode == "training":
        program, size = run.training, config.batch_size
    else:
        program, size = network.evaluating(network.figures), config.evaluation_batch_size
    return BatchFunction(run.session, network, program, size), size


def operations_of(nodes: Iterable[Node]) -> int:
    """Floating-point operations of the nodes, as their ops count them: of matrix products and the like."""
    return sum(node.op.operations([source.spec for source in node.inputs], node.spec) for node in nodes)


def _least_times(plan: Plan, restore: Callable[[], None]) -> tuple[list[float], float]:
    """The seconds of each call, and of a whole run."""
    calls = [call.run for call in (*plan.compute, *plan.commit)]
    run, *least = [inf] * (1 + len(calls))
    end = perf_counter() + MOST_SECONDS
    repetition = 0
    while repetition < FEWEST_REPETITIONS or perf_counter() < end:
        repetition += 1
        restore()
        run = min(run, _seconds(plan.run))
        restore()
        with np.errstate(all="ignore"):  # as in `Plan.run`
            least = list(map(min, least, map(_seconds, calls)))
    restore()
    return least, run


def _seconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def _lines(plan: Plan, seconds: Sequence[float]) -> Iterator[Line]:
    times = iter(seconds)
    for phase, all_calls in (("compute", plan.compute), ("commit", plan.commit)):
        for group, found in groupby(all_calls, key=lambda call: call.group):
            calls = list(found)
            yield Line(
                phase=phase,
                kernel=calls[0].function,
                calls=len(calls),
                ops=tuple(node.op.label for node in group),
                scope=commonpath(dirname(node.origin.name) for node in group),
                shape=max((node.spec.sizes for node in group), key=prod),
                written=distinct_bytes(array for call in calls for array in call.writes),
                operations=operations_of(group),
                seconds=sum(islice(times, len(calls))),
            )
