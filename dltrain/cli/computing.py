"""The options that say what computes: `--kernels` and `--threads`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from threadpoolctl import threadpool_limits

Command = TypeVar("Command", bound=Callable[..., Any])


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
        type=click.IntRange(min=1),
        expose_value=False,
        callback=lambda _context, _option, number: limit_threads(number),
        help="How many threads compute.  [default: one a core]",
    )
    return kernels(threads(command))


def limit_threads(number: int | None) -> None:
    """Lets BLAS, and with it native kernels, use `number` threads from now on; None changes nothing."""
    if number is not None:
        import numpy as np  # noqa: F401  its BLAS must be loaded to be told

        threadpool_limits(limits=number)
