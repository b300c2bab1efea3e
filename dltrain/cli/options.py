"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dltrain.cli.progress import STYLES
from dltrain.files.user_paths import expand_user


class UserPath(click.Path):
    """A path that may begin with `~`, also where the shell has left that as it is."""

    def __init__(self, *, file_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, path_type=Path)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        return super().convert(expand_user(value), parameter, context)


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
