"""`dltrain predict`: apply a run's model to inputs from a file."""

from __future__ import annotations

from pathlib import Path

import click

from dltrain.cli.options import UserPath, checkpoint_option, computing_options, run_argument
from dltrain.cli.printing import say
from dltrain.errors import UsageError
from dltrain.execution.session import Kernels
from dltrain.inspection.input_files import check_input_name, read_inputs
from dltrain.inspection.prediction import writer_for
from dltrain.runs.api import load_run


@click.command(
    epilog="Example: dltrain predict latest --input data/mnist/t10k-images-idx3-ubyte.gz --output digits.csv"
)
@run_argument
@click.option(
    "--input",
    "source",
    type=UserPath(),
    required=True,
    help="The examples: .npy (one or many), IDX (gzip-compressed or not), or .png (one picture).",
)
@click.option(
    "--output",
    "target",
    type=UserPath(),
    required=True,
    help="Of classes and numbers .csv, .json or .npy; of reconstructions .npy or .png (grey pictures).",
)
@checkpoint_option
@computing_options
def predict(run: str, source: Path, target: Path, checkpoint: str, kernels: Kernels) -> None:
    """Apply RUN's model to inputs from a file.

    RUN is a path, the beginning of a run's name below runs/, or latest. A PNG file becomes grey, and is not
    changed otherwise: it must have the size of the model's inputs, and as MNIST's digits are light on dark, a
    dark one on light paper must be inverted first. Bytes are scaled as those of the run's data set were;
    floating numbers in .npy must be scaled already.
    """
    check_input_name(source)
    trained = load_run(run, checkpoint, kernels=kernels)
    write = writer_for(trained, target)
    _check_nothing_is_lost(source, target, trained.directory.path)
    inputs = read_inputs(source, tuple(trained.trained_on.input_shape))
    write(trained.predict(inputs))
    say(f"{target}: {len(inputs)} examples, step {trained.state.step}")


def _check_nothing_is_lost(source: Path, target: Path, run: Path) -> None:
    """Raises UsageError when the output would replace the input, or a file of the run."""
    if not target.exists():
        return
    if source.exists() and target.samefile(source):
        raise UsageError("input and output are one file", where=str(target), fix="give another --output")
    if target.resolve().is_relative_to(run.resolve()):
        raise UsageError("the output is a file of the run", where=str(target), fix="give another --output")
