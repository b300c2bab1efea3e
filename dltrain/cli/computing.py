"""The options that say what computes: `--kernels` and `--threads`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

MOST_THREADS = 2**15  # more than a process can have on most systems

Command = TypeVar("Command", bound=Callable[..., Any])


def _limit_threads(_context: click.Context, _option: click.Parameter, number: int | None) -> None:
    if number is not None:
        from dltrain.backends.threads import limit_threads  # loads NumPy, which --help does without

        limit_threads(number)


def computing_options(command: Command) -> Command:
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
