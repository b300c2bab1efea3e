"""`dltrain plan`: the compiled plan of a config, call by call, with times."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import click

from dltrain.cli.options import UserPath, computing_options
from dltrain.cli.printing import shown_bytes, shown_operations
from dltrain.errors import UsageError
from dltrain.execution.session import Kernels
from dltrain.inspection.plan import Line, Mode, PlanReport, report_plan
from dltrain.runs.run import Run
from dltrain.training.config_file import load_config, located

OPS, SCOPE, SHAPE = 30, 20, 10  # widths, to which texts are cut
ROW = f"{{:>3}} {{:<7}} {{:<9}} {{:<{OPS}}} {{:<{SCOPE}}} {{:<{SHAPE}}} {{:>10}} {{:>8.8}} {{:>5}}"


@click.command(epilog="Example: dltrain plan configs/mlp.yaml --kernels numpy train.batch_size=32")
@click.argument("config", type=UserPath())
@click.argument("overrides", metavar="[key=value]...", nargs=-1)
@click.option(
    "--phase",
    "mode",
    type=click.Choice(["training", "evaluation"]),
    default="training",
    show_default=True,
    help="A step of training, or the evaluation of a batch.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--source", is_flag=True, help="Print the generated C instead.")
@computing_options
def plan(
    config: Path, overrides: tuple[str, ...], mode: Mode, as_json: bool, source: bool, kernels: Kernels
) -> None:
    """Show what a step of training on CONFIG comes to, and what takes its time.

    The plan is compiled, filled with the first examples and timed: of each kernel call the least time of some
    repetitions. Calls of an elementwise group that is computed in tiles are one line. Nothing is written.
    """
    document, parsed = load_config(config, overrides)
    with located(document):
        run = Run(parsed, kernels=kernels)
        report = report_plan(run, mode)
    if source and not report.source:
        raise UsageError("the plan has no C", why="its kernels are NumPy's", fix="use --kernels native")
    if source:
        click.echo(report.source)
    elif as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        click.echo("\n".join(table(report)))


def table(report: PlanReport) -> list[str]:
    """The report as lines of at most 110 columns."""
    return [
        f"{report.mode}, batch of {report.batch}, {report.kernels} kernels",
        "",
        ROW.format("#", "phase", "kernel", "ops", "in", "shape", "writes", "µs", "share"),
        *(_row(number, line, line.seconds / report.in_calls) for number, line in enumerate(report.lines, 1)),
        "",
        *_totals(report),
    ]


def _row(number: int, line: Line, share: float) -> str:
    return ROW.format(
        number,
        line.phase,
        line.kernel,
        _ops(line),
        _end(line.scope, SCOPE),
        _end("x".join(map(str, line.shape)) or "scalar", SHAPE),
        shown_bytes(line.written),
        f"{line.seconds * 1e6:.1f}",
        f"{share:.1%}",
    )


def _ops(line: Line) -> str:
    """The ops' labels, neighbours of one kind counted, and the number of calls if it is not one.

    Of labels that do not fit, the number: `add relu +3 x4 calls`.
    """
    runs = [(label, len(list(same))) for label, same in groupby(line.ops)]
    labels = [label if count == 1 else f"{count} {label}" for label, count in runs]
    calls = "" if line.calls == 1 else f" x{line.calls} calls"
    for taken in range(len(labels), 0, -1):
        rest = sum(count for _, count in runs[taken:])
        tail = (f" +{rest}" if rest else "") + calls
        text = " ".join(labels[:taken])
        if len(text + tail) <= OPS:
            return text + tail
    return f"{text[: OPS - len(tail) - 3]}...{tail}"


def _end(text: str, width: int) -> str:
    return text if len(text) <= width else f"...{text[3 - width :]}"


def _totals(report: PlanReport) -> list[str]:
    calls = sum(line.calls for line in report.lines)
    operations = sum(line.operations for line in report.lines)
    products = f"products    {shown_operations(operations)} in matrix products"
    if seconds := sum(line.seconds for line in report.lines if line.operations):
        share = seconds / report.run
        products += f", at {operations / seconds / 1e9:.1f} GFLOP/s, {share:.0%} of the run"
    return [
        f"memory      variables {shown_bytes(report.variables)} ({report.parameters:,} parameters), "
        f"inputs {shown_bytes(report.inputs)}, buffers {shown_bytes(report.buffers)}, "
        f"scratch {shown_bytes(report.scratch)}",
        f"time        {calls} calls take {report.in_calls * 1e6:,.0f} µs, "
        f"a whole run {report.run * 1e6:,.0f}",
        products,
    ]
