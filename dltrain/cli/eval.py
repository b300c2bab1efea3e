"""`dltrain eval`: evaluate a run on a split of its data set."""

from __future__ import annotations

import json

import click

from dltrain.cli.computing import computing_options
from dltrain.cli.options import checkpoint_option
from dltrain.cli.progress import shown
from dltrain.errors import UsageError
from dltrain.execution.session import Kernels
from dltrain.runs.directory import RunDirectory
from dltrain.runs.trained_run import load_trained
from dltrain.training.evaluation import Evaluator, plain_figures


@click.command(epilog="Example: dltrain eval latest --split validation --json")
@click.argument("run")
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
    trained = load_trained(RunDirectory.open(run), checkpoint, kernels)
    data = trained.config.dataset.load()
    trained.trained_on.check_same(data)
    if split not in data.splits:
        raise UsageError("the run has no validation split", why="dataset.validation_size is 0")
    figures = plain_figures(Evaluator(trained.session, trained.network)(data.splits[split]))
    if as_json:
        click.echo(json.dumps({"split": split, "step": trained.step, **figures}))
        return
    loss, others = {"loss": figures["loss"]}, {name: figures[name] for name in figures if name != "loss"}
    click.echo(f"{split} {shown(others | loss)}  ({len(data.splits[split])} examples, step {trained.step})")
    for name, figure in others.items():
        if isinstance(figure, list):
            click.echo(name)
            for row in figure:
                click.echo(" ".join(f"{number:6}" for number in row))
