"""Completion of commands, options and names of runs by a shell, by click's own mechanism.

`_DLTRAIN_COMPLETE=bash_source dltrain` (`zsh_source`, `fish_source`) prints what the shell is to read; for
each word the shell then calls `dltrain` with `_DLTRAIN_COMPLETE=bash_complete`.
"""

from __future__ import annotations

import os

import click
from click.shell_completion import CompletionItem, shell_complete

from dltrain.cli.main import COMMANDS, OPTIONS, loaded
from dltrain.errors import UsageError

VARIABLE = "_DLTRAIN_COMPLETE"


class Commands(click.Group):
    """All commands, each imported when its own words are completed."""

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        return loaded(name) if name in COMMANDS else None

    def shell_complete(self, _context: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = {name: text for name, (_, text) in COMMANDS.items()}
        known = OPTIONS if incomplete.startswith("-") else commands
        return [CompletionItem(word, help=known[word]) for word in known if word.startswith(incomplete)]


def complete() -> None:
    """Prints what the shell asks for by its variables; raises UsageError where that is nothing known."""
    options = [click.Option([name], is_flag=True) for name in OPTIONS if name != "--help"]
    instruction = os.environ[VARIABLE]
    try:
        if shell_complete(Commands("dltrain", params=options), {}, "dltrain", VARIABLE, instruction) == 0:
            return
        why = f"it is {instruction}"
    except (KeyError, RuntimeError) as error:  # a variable of the shell's, or the shell itself, is missing
        why = str(error)
    fix = f"write {VARIABLE}=bash_source, zsh_source or fish_source"
    raise UsageError("cannot complete", where=VARIABLE, why=why, fix=fix)
