"""`dltrain fit`: train the model that a config describes, into a run directory."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from dltrain.cli.config_file import load_config, located
from dltrain.cli.progress import STYLES, Progress, shown
from dltrain.config import Document, apply_overrides, parse
from dltrain.errors import RunError, StoppedError
from dltrain.training.evaluation import Figures
from dltrain.training.records import Finished
from dltrain.training.requirements import Requirement
from dltrain.training.run_config import CHANGEABLE, RunConfig
from dltrain.training.run_directory import RunDirectory
from dltrain.training.signals import StopFlag
from dltrain.training.trained_run import parse_config, read_config
from dltrain.training.training_run import Prepared, TrainingRun, prepare

FAST_STEPS = 5
FAST_EVALUATION_BATCHES = 2


@click.command(
    epilog="Examples: dltrain fit configs/mlp.yaml optimizer.learning_rate=1e-3 | "
    "dltrain fit --resume latest train.epochs=20"
)
@click.argument("config", required=False)
@click.argument("overrides", metavar="[key=value]...", nargs=-1)
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    help="Directory of the run.  [default: a new one below runs/]",
)
@click.option("--name", help="First part of the name of the new directory below runs/.")
@click.option(
    "--resume",
    metavar="RUN",
    help="Continue this run (a path, the beginning of a run's name, or latest) from its newest checkpoint.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.option(
    "--progress",
    type=click.Choice(STYLES),
    default="auto",
    show_default=True,
    help="How progress is shown on stderr: auto is a bar on a terminal, else a plain line an epoch.",
)
@click.option(
    "--require",
    "requirements",
    metavar="SPLIT_METRIC>=NUMBER",
    multiple=True,
    help="Exit with 6 unless the best checkpoint reaches this, such as 'test_accuracy>=0.98'; repeatable.",
)
@click.option(
    "--fast", is_flag=True, help=f"Only {FAST_STEPS} steps, and a few batches of each evaluation; for CI."
)
def fit(
    config: str | None,
    overrides: tuple[str, ...],
    run_dir: Path | None,
    name: str | None,
    resume: str | None,
    quiet: bool,
    progress: str,
    requirements: tuple[str, ...],
    fast: bool,
) -> None:
    """Train the model that CONFIG, a YAML file, describes.

    key=value items override its keys. The run directory then holds the resolved config, metrics, TensorBoard
    files and checkpoints; the best checkpoint is evaluated on the test split at the end.

    A resumed run takes its config from its directory; only how long it trains (train.epochs, train.steps,
    train.early_stopping), train.checkpoint_every and train.log_every may change.
    """
    required = [Requirement.parse(text) for text in requirements]
    if resume is not None:
        if run_dir is not None or name is not None:
            raise click.UsageError(
                "--resume continues in the run's own directory: leave out --run-dir and --name"
            )
        changes = [config, *overrides] if config is not None else []
        if config is not None and "=" not in config:
            raise click.UsageError("a resumed run takes CONFIG from its own directory: leave it out")
        with RunDirectory.open(resume) as directory:
            directory.lock()
            prepared = _prepared_again(directory, changes, fast)
            _check_known(required, prepared)
            run = TrainingRun.resume(prepared, directory, command=_command(), warn=_warn)
            _train(run, "none" if quiet else progress, quiet, required, fast)
        return
    if config is None:
        raise click.UsageError("missing CONFIG: give a YAML file, or --resume RUN")
    if name is not None:
        overrides = (*overrides, f"name={json.dumps(name)}")
    document, parsed = load_config(Path(config), overrides)
    prepared = _prepared(document, parsed, fast)
    _check_known(required, prepared)
    name = parsed.name or parsed.model.component_name
    with RunDirectory.create(run_dir, name=name) as directory:
        run = TrainingRun.start(
            prepared, directory, document=document, command=_command(), overrides=overrides
        )
        _train(run, "none" if quiet else progress, quiet, required, fast)


def _train(run: TrainingRun, style: str, quiet: bool, required: Sequence[Requirement], fast: bool) -> None:
    """Trains to the end and evaluates the best checkpoint.

    Raises StoppedError after a signal, RequirementError when a requirement is not met.
    """
    if fast:
        run.evaluation_batches = FAST_EVALUATION_BATCHES
    finished = None
    with run:
        with StopFlag() as stop, closing(Progress(style)) as progress:
            for record in run.records(should_stop=stop):
                progress.report(record)
                finished = record if isinstance(record, Finished) else None
        if finished is None:
            assert stop.signal_number is not None
            raise StoppedError(
                f"stopped by signal {stop.signal_number} after step {run.state.step}",
                signal_number=stop.signal_number,
                fix=f"to continue: dltrain fit --resume {shlex.quote(str(run.directory.path))}",
            )
        figures = run.evaluate_best(dict.fromkeys(["test", *(each.split for each in required)]))
        if not quiet:
            _print_result(run, finished, figures["test"])
        for requirement in required:
            requirement.check_met(float(figures[requirement.split][requirement.metric]))


def _print_result(run: TrainingRun, finished: Finished, test: Figures) -> None:
    if finished.reason != "completed":
        click.echo(finished.reason)
    loss, others = {"loss": test["loss"]}, {name: test[name] for name in test if name != "loss"}
    click.echo(f"test {shown(others | loss)}  (best checkpoint, step {finished.best_step})")
    click.echo(run.directory.path)


def _prepared(document: Document, config: RunConfig, fast: bool) -> Prepared:
    if fast:
        train = config.train.model_copy(update={"epochs": None, "steps": FAST_STEPS})
        config = config.model_copy(update={"train": train})
    with located(document):
        return prepare(config)


def _prepared_again(directory: RunDirectory, changes: Sequence[str], fast: bool) -> Prepared:
    """The run's config with changes.

    Raises RunError, with both values, when one changes what may not change.
    """
    document = read_config(directory)
    before = parse_config(document)
    document = apply_overrides(document, changes)
    config = parse(RunConfig, document)
    if conflict := before.conflict_with(config):
        key, old, new = conflict
        raise RunError(
            f"{key} may not change when a run is resumed",
            where=str(directory.config),
            why=f"it is {old!r} in the run, {new!r} now",
            fix=f"start a new run; what may change is {', '.join(CHANGEABLE)}",
        )
    return _prepared(document, config, fast)


def _check_known(required: Sequence[Requirement], prepared: Prepared) -> None:
    for requirement in required:
        requirement.check_known(prepared.data.splits, prepared.network.evaluation.scalars)


def _command() -> list[str]:
    return ["dltrain", *sys.argv[1:]]


def _warn(line: str) -> None:
    click.echo(f"dltrain: warning: {line}", err=True)
