"""Printing a line: text from files, names and paths may hold what a terminal acts on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from dltrain.errors import DltrainWarning, printable


def say(line: str | Path, *, err: bool = False) -> None:
    """Prints a line on stdout, or stderr, with everything escaped that a terminal would act on."""
    click.echo(printable(str(line)), err=err)


def warn(line: str) -> None:
    """Prints a warning on stderr."""
    say(f"dltrain: warning: {line}", err=True)


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """While it is entered, a `DltrainWarning` is a line on stderr, like those of `warn`."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", DltrainWarning)
        show = warnings.showwarning

        def in_a_line(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
            if issubclass(category, DltrainWarning):
                warn(str(message))
            else:
                show(message, category, *args, **kwargs)

        warnings.showwarning = in_a_line
        yield
