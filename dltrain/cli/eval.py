"""`dltrain eval`: evaluate a run on a split of its data set."""

from __future__ import annotations

import json

import click

from dltrain.cli.options import checkpoint_option, computing_options, run_argument
from dltrain.cli.printing import shown_result
from dltrain.execution.session import Kernels
from dltrain.runs.api import load_run
from dltrain.training.evaluation import plain_figures


@click.command(epilog="Example: dltrain eval latest --split validation --json")
@run_argument
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="Which examples.",
)
@checkpoint_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: split, step, and each figure.")
@computing_options
def evaluate(run: str, split: str, checkpoint: str, as_json: bool, kernels: Kernels) -> None:
    """Evaluate RUN on a split of its data set.

    RUN is a path, the beginning of a run's name below runs/, or latest. The loss is the cost without penalty.
    """
    trained = load_run(run, checkpoint, kernels=kernels)
    figures, step = trained.evaluate(split), trained.state.step
    if as_json:
        click.echo(json.dumps({"split": split, "step": step, **plain_figures(figures)}))
        return
    shown = shown_result(figures, trained.network.units)
    click.echo(f"{split} {shown}  ({len(trained.data.splits[split])} examples, step {step})")
    for name, figure in figures.items():
        if not isinstance(figure, float):
            click.echo(name)
            form = "6" if figure.dtype.kind == "i" else "6.4f"
            for row in figure.reshape(-1, figure.shape[-1]).tolist():
                click.echo(" ".join(f"{number:{form}}" for number in row))
