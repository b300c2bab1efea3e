"""Options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dltrain.cli.progress import STYLES

MOST_THREADS = 2**15  # more than a process can have on most systems


class UserPath(click.Path):
    """A path that may begin with `~`, also where the shell has left that as it is."""

    def __init__(self, *, file_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, path_type=Path)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        return super().convert(os.path.expanduser(value), parameter, context)


def complete_runs(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """What a shell offers for RUN: the names below runs/, and latest."""
    names = sorted(record.parent.name for record in Path("runs").glob("*/run.json"))
    return [name for name in [*names, "latest"] if name.startswith(incomplete)]


run_argument = click.argument("run", shell_complete=complete_runs)

checkpoint_option = click.option(
    "--checkpoint",
    metavar="best|last|PATH",
    default="best",
    show_default=True,
    help="Which checkpoint: the best on validation, the last, or the folder of one.",
)

quiet_option = click.option("--quiet", is_flag=True, help="Print nothing but errors.")

progress_option = click.option(
    "--progress",
    type=click.Choice(STYLES),
    default="auto",
    show_default=True,
    help="How progress is shown on stderr: auto is a bar on a terminal, else a plain line an epoch.",
)


def _limit_threads(_context: click.Context, _option: click.Parameter, number: int | None) -> None:
    if number is not None:
        from dltrain.backends.threads import limit_threads  # loads NumPy, which --help does without

        limit_threads(number)


def computing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--kernels`, given to the command as `kernels`, and `--threads`, which takes effect at once."""
    kernels = click.option(
        "--kernels",
        type=click.Choice(["auto", "native", "numpy"]),
        default="auto",
        show_default=True,
        help="What computes: C compiled on this machine, or NumPy; auto: native if there is a C compiler.",
    )
    threads = click.option(
        "--threads",
        type=click.IntRange(1, MOST_THREADS),
        expose_value=False,
        callback=_limit_threads,
        help="How many threads compute.  [default: one a core]",
    )
    return kernels(threads(command))
