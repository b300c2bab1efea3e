"""Printing a line: text from files, names and paths may hold what a terminal acts on."""

from __future__ import annotations

from pathlib import Path

import click

from dltrain.config.text import printable


def say(line: str | Path, *, err: bool = False) -> None:
    """Prints a line on stdout, or stderr, with everything escaped that a terminal would act on."""
    click.echo(printable(str(line)), err=err)


def warn(line: str) -> None:
    """Prints a warning on stderr."""
    say(f"dltrain: warning: {line}", err=True)
