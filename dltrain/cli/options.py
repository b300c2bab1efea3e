"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

from dltrain.cli.progress import STYLES


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
