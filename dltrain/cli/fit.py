"""`dltrain fit`: train the model that a config describes, into a run directory."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

import click

from dltrain.cli.options import UserPath, complete_runs, computing_options, progress_option, quiet_option
from dltrain.cli.printing import say, shown_result
from dltrain.cli.progress import Progress
from dltrain.cli.requirements import Requirement
from dltrain.cli.signals import Signals, StopFlag
from dltrain.config import apply_overrides, parse
from dltrain.errors import RunError, StoppedError
from dltrain.execution.session import Kernels
from dltrain.runs.directory import RunDirectory
from dltrain.runs.run import Run
from dltrain.training.config_file import load_config, located
from dltrain.training.records import Finished
from dltrain.training.run_config import CHANGEABLE, RunConfig

FAST_STEPS = 5
FAST_EVALUATION_BATCHES = 2


@click.command(
    epilog="Examples: dltrain fit configs/mlp.yaml optimizer.learning_rate=1e-3 | "
    "dltrain fit --resume latest train.epochs=20"
)
@click.argument("config", type=click.Path(), required=False)
@click.argument("overrides", metavar="[key=value]...", nargs=-1)
@click.option(
    "--run-dir",
    type=UserPath(),
    help="Directory of the run.  [default: a new one below runs/]",
)
@click.option("--name", help="First part of the name of the new directory below runs/.")
@click.option(
    "--resume",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Continue this run (a path, the beginning of a run's name, or latest) from its newest checkpoint.",
)
@quiet_option
@progress_option
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
@computing_options
@click.pass_obj
def fit(
    signals: Signals,
    config: str | None,
    overrides: tuple[str, ...],
    run_dir: Path | None,
    name: str | None,
    resume: str | None,
    quiet: bool,
    progress: str,
    requirements: tuple[str, ...],
    fast: bool,
    kernels: Kernels,
) -> None:
    """Train the model that CONFIG, a YAML file, describes.

    key=value items override its keys. The run directory then holds the resolved config, metrics, TensorBoard
    files and checkpoints; the best checkpoint is evaluated on the test split at the end.

    A resumed run takes its config from its directory. How long it trains (train.epochs, train.steps,
    train.early_stopping), train.checkpoint_every and train.log_every may change; what else differs from the
    run's config is refused (exit 5): seed, data, model, cost, optimizer, metrics, and the rest of train.

    SIGINT (Ctrl-C), SIGTERM and SIGUSR1 finish the step, save, and exit with 130, 143 and 138; a second
    SIGINT leaves at once.
    """
    required = [Requirement.parse(text) for text in requirements]
    if resume is not None:
        if run_dir is not None or name is not None:
            raise click.UsageError(
                "--resume goes on in the run's own directory: leave out --run-dir and --name"
            )
        if config is not None and "=" not in config:
            raise click.UsageError("a resumed run takes CONFIG from its own directory: leave it out")
        changes = overrides if config is None else (config, *overrides)
        opened = _resumed(resume, changes, fast, required, kernels)
    elif config is not None:
        if "=" in config and not os.path.exists(os.path.expanduser(config)):
            raise click.UsageError(f"missing CONFIG before {config}: give a YAML file, or --resume RUN")
        if name is not None:
            overrides = (*overrides, f"name={json.dumps(name)}")
        opened = _started(Path(config), overrides, run_dir, fast, required, kernels)
    else:
        raise click.UsageError("missing CONFIG: give a YAML file, or --resume RUN")
    shows = Progress("none" if quiet else progress)
    result: list[str] = []
    try:
        with opened as run:
            finished = _train(run, shows, signals)
            figures = run.evaluate_best(dict.fromkeys(["test", *(each.split for each in required)]))
            if not quiet:
                test = shown_result(figures["test"], run.network.units)
                test = f"test {test}  (best checkpoint, step {finished.best_step})"
                reason = [] if finished.reason == "completed" else [finished.reason]
                result = [*reason, test, str(run.directory.path)]
            for requirement in required:
                requirement.check_met(float(figures[requirement.split][requirement.metric]))
    finally:  # the run is closed: what run.json says of it does not depend on whether this can be printed
        for line in result:
            say(line)


@contextmanager
def _started(
    path: Path,
    overrides: Sequence[str],
    run_dir: Path | None,
    fast: bool,
    required: Sequence[Requirement],
    kernels: Kernels,
) -> Iterator[Run]:
    """A new run; nothing is written before all of its config is checked."""
    document, config = load_config(path, overrides)
    with located(document):
        run = _built(config, fast, required, kernels)
        name = config.name or config.model.component_name
        with (
            RunDirectory.create(run_dir, name=name) as directory,
            run.start(directory, source=document.text, command=_command(), overrides=overrides),
        ):
            yield run


@contextmanager
def _resumed(
    reference: str, changes: Sequence[str], fast: bool, required: Sequence[Requirement], kernels: Kernels
) -> Iterator[Run]:
    """A run that goes on, its config with changes.

    Raises RunError, with both values, when one changes what may not change.
    """
    with RunDirectory.open(reference) as directory:
        directory.lock()
        document, before = directory.load_config()
        document = apply_overrides(document, changes)
        config = parse(RunConfig, document)
        if conflict := before.with_absolute_paths().conflict_with(config.with_absolute_paths()):
            key, old, new = conflict
            raise RunError(
                f"{key} may not change when a run is resumed",
                where=document.position(key.path),
                why=f"it is {json.dumps(old)} in the run, {json.dumps(new)} now",
                fix=f"start a new run; what may change is {', '.join(CHANGEABLE)}",
            )
        with located(document):
            run = _built(config, fast, required, kernels)
            with run.resume(directory, command=_command()):
                yield run


def _built(config: RunConfig, fast: bool, required: Sequence[Requirement], kernels: Kernels) -> Run:
    """A run of which nothing is written yet."""
    if fast:
        train = config.train.model_copy(update={"epochs": None, "steps": FAST_STEPS})
        config = config.model_copy(update={"train": train})
    run = Run(config, kernels=kernels)
    if fast:
        run.evaluation_batches = FAST_EVALUATION_BATCHES
    for requirement in required:
        requirement.check_known(run.data.splits, run.network.scalars)
    return run


def _train(run: Run, shows: Progress, signals: Signals) -> Finished:
    """Trains to the end. Raises StoppedError after a signal."""
    finished = None
    stop = StopFlag(signals)
    records = run.records(should_stop=stop)
    started = next(records)  # when all is compiled: until then a signal ends the command at once
    with stop, closing(shows) as progress:
        for record in chain([started], records):
            progress.report(record)
            finished = record if isinstance(record, Finished) else None
    if signals.number is None:  # asked last, so that no signal is overlooked
        assert finished is not None
        return finished
    raise StoppedError(
        f"stopped by {signal.Signals(signals.number).name} after step {run.state.step}",
        signal_number=signals.number,
        fix=f"to go on: dltrain fit --resume {shlex.quote(str(run.directory.path))}",
    )


def _command() -> list[str]:
    return ["dltrain", *sys.argv[1:]]
