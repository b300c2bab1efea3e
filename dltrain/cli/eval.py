"""`dltrain eval`: evaluate a run on a split of its data set."""

from __future__ import annotations

import json

import click

from dltrain.cli.computing import computing_options
from dltrain.cli.options import checkpoint_option, run_argument
from dltrain.cli.progress import shown
from dltrain.execution.session import Kernels
from dltrain.runs.directory import RunDirectory
from dltrain.runs.run import Run
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
    trained = Run.open(RunDirectory.open(run), checkpoint, kernels)
    figures, step = plain_figures(trained.evaluate(split)), trained.state.step
    if as_json:
        click.echo(json.dumps({"split": split, "step": step, **figures}))
        return
    loss, others = {"loss": figures["loss"]}, {name: figures[name] for name in figures if name != "loss"}
    click.echo(f"{split} {shown(others | loss)}  ({len(trained.data.splits[split])} examples, step {step})")
    for name, figure in others.items():
        if isinstance(figure, list):
            click.echo(name)
            for row in figure:
                click.echo(" ".join(f"{number:6}" for number in row))
