"""`dltrain verify`: train a run again, and compare to the bit."""

from __future__ import annotations

from contextlib import closing

import click

from dltrain.backends.threads import limit_threads
from dltrain.cli.options import MOST_THREADS, computing_options, progress_option, quiet_option, run_argument
from dltrain.cli.printing import say, warn
from dltrain.cli.progress import Progress
from dltrain.execution.session import Kernels
from dltrain.inspection.verification import Verification
from dltrain.runs.directory import RunDirectory
from dltrain.runs.environment import describe_environment, differences
from dltrain.training.config_file import located


@click.command(epilog="Example: dltrain verify latest")
@run_argument
@quiet_option
@progress_option
@computing_options
@click.pass_context
def verify(context: click.Context, run: str, quiet: bool, progress: str, kernels: Kernels) -> None:
    """Train RUN again and compare each loss and each hash of all variables in its files, to the bit.

    RUN is a path, the beginning of a run's name below runs/, or latest. Nothing in it is changed. A run that
    was stopped or resumed is repeated as it went, up to the last step that its files tell of. Exits with 0 if
    all is reproduced, else with 5 and the first step that differs. Kernels and threads are the run's own
    unless given.
    """
    directory = RunDirectory.open(run)
    record = directory.record()
    if kernels == "auto" and record.get("kernels") == "numpy":
        kernels = "numpy"
    threads = record.get("threads")
    given = context.get_parameter_source("threads") is not click.core.ParameterSource.DEFAULT
    if not given and type(threads) is int and 0 < threads <= MOST_THREADS:
        limit_threads(threads)
    with located(directory.load_config()[0]), closing(Progress("none" if quiet else progress)) as shown:
        verification = Verification(directory, kernels)
        now = describe_environment(verification.kernels)
        changed = dict.fromkeys(
            line for part in ({}, *record["resumed"]) for line in differences(record | part, now)
        )
        if changed and not quiet:
            warn(f"results may differ in their last bits: {', '.join(changed)}")
        for done in verification.records():
            shown.report(done)
    if not quiet:
        compared, step = verification.compared, verification.last_step
        say(f"reproduced: {compared} losses and hashes up to step {step} are equal")
