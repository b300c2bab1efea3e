"""Options that several commands have."""

from __future__ import annotations

import click

from dltrain.cli.progress import STYLES

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
