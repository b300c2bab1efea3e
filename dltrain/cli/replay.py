"""`dltrain replay`: repeat the step at which a run's loss was not finite, op by op."""

from __future__ import annotations

from collections.abc import Sequence

import click
import numpy as np

from dltrain.cli.options import computing_options, run_argument
from dltrain.cli.printing import say
from dltrain.execution.session import Kernels
from dltrain.execution.tracing import Traced, first_not_finite
from dltrain.runs.directory import RunDirectory
from dltrain.runs.run import Run
from dltrain.training.config_file import located

BEFORE, AFTER = 8, 3  # ops around the first that is not finite


@click.command(epilog="Example: dltrain replay latest --verbose")
@run_argument
@click.option("--verbose", is_flag=True, help="Show all ops, not only those around the first that failed.")
@computing_options
def replay(run: str, verbose: bool, kernels: Kernels) -> None:
    """Repeat the step at which RUN's loss was not finite, from the variables and the batch in its failure/.

    Shows for each op the range of its output, up to the first one that is not finite. RUN is a path, the
    beginning of a run's name below runs/, or latest. Exits with 4 if the step fails again, else with 0.
    """
    directory = RunDirectory.open(run)
    with located(directory.load_config()[0]):
        failure = Run.failure(directory, kernels)
        traced = failure.trace()
        error = failure.again()
        first = first_not_finite(traced)
        shown = slice(None) if verbose or first is None else slice(max(first - BEFORE, 0), first + AFTER + 1)
        for line in _table(traced[shown]):
            say(line)
        if error is None:
            loss = failure.program.guards[0].name
            say(f"after step {failure.step}: does not fail here, the loss {loss} is finite")
        else:
            how = "as recorded" if error.why == failure.why else f"but not as recorded ({failure.why})"
            error.what = f"after step {failure.step}: fails again, {how}"
            raise error


def _table(traced: Sequence[Traced]) -> list[str]:
    rows = [("op", "output", "range", "not finite", "from")]
    for each in traced:
        output = f"{each.value.dtype.name}{list(each.value.shape)}"
        rows.append((each.node.name, output, each.range, _not_finite(each), str(each.node.source)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _not_finite(traced: Traced) -> str:
    """Such as `3 nan, 1 inf`."""
    counts = {"nan": np.isnan(traced.value).sum(), "inf": np.isinf(traced.value).sum()}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
