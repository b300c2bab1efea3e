"""The command `dltrain`: finds the subcommand, runs it, and turns every error into one line and an exit code.

This module imports nothing heavy, not even click, so that `dltrain --help` answers at once; click and the
subcommand are imported when one is called.
"""

from __future__ import annotations

import os
import sys

from dltrain.cli.signals import Signals, Watcher

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    import click

    from dltrain.errors import DltrainError

# Name: (its click command as "module:name", help in one line).
COMMANDS = {
    "fit": ("dltrain.cli.fit:fit", "Train the model that a config describes."),
    "eval": ("dltrain.cli.eval:evaluate", "Evaluate a run on a split of its data set."),
    "predict": ("dltrain.cli.predict:predict", "Apply a run's model to inputs from a file."),
    "verify": ("dltrain.cli.verify:verify", "Train a run again and compare, to the bit."),
    "replay": ("dltrain.cli.replay:replay", "Repeat the step at which a run diverged."),
    "validate": ("dltrain.cli.validate:validate", "Check a config without training."),
    "plan": ("dltrain.cli.plan:plan", "Show what a step of training comes to, with times."),
    "download-mnist": ("dltrain.cli.download_mnist:download_mnist", "Download MNIST or Fashion-MNIST."),
}
OPTIONS = {
    "--debug": "Show the traceback of every error.",
    "--version": "Show the version and exit.",
    "--help": "Show this message, or a command's own, and exit.",
}


def help_text() -> str:
    """What `dltrain --help` prints."""
    commands = "\n".join(f"  {name:<16}{summary}" for name, (_, summary) in COMMANDS.items())
    options = "\n".join(f"  {name:<16}{summary}" for name, summary in OPTIONS.items())
    return f"""Usage: dltrain [OPTIONS] COMMAND [ARGUMENTS]...

  Train neural networks from a short YAML file.

Commands:
{commands}

Options:
{options}

Examples:
  dltrain fit configs/mlp.yaml
  dltrain fit --help"""


def process() -> NoReturn:
    """The process `dltrain`: `main` with its command line, after which no signal shows a traceback."""
    with Signals() as signals:
        _open_missing_streams()
        exit_code = _run(sys.argv[1:], signals)
        signals.ignore()
        sys.exit(exit_code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line (by default the process's own) and returns its exit code.

    Exit codes: 0 done; 2 for no arguments; all others are those of dltrain/errors.py.
    """
    with Signals() as signals:
        return _run(list(sys.argv[1:] if arguments is None else arguments), signals)


def _run(words: list[str], signals: Signals) -> int:
    debug = "--debug" in words  # before the command's name or after it
    words = [word for word in words if word != "--debug"]
    completes = "_DLTRAIN_COMPLETE" in os.environ  # a shell asks for words
    if not words and not completes:
        print(help_text(), file=sys.stderr)
        return 2
    try:
        try:
            if completes:
                from dltrain.cli.completion import complete

                complete()
            else:
                _dispatch(words[0], words[1:], signals)
            sys.stdout.flush()
        finally:
            signals.raises = False
    except (Exception, KeyboardInterrupt) as error:
        signals.reported = True
        exit_code = _report(error, debug)
    else:
        return 0
    _drop_unwritable_output()
    return exit_code


def _dispatch(name: str, arguments: list[str], signals: Signals) -> None:
    if any("\0" in word for word in (name, *arguments)):
        from dltrain.errors import UsageError

        raise UsageError("the command line has a zero character", fix="no path has one: leave it out")
    if name == "--help":
        print(help_text())
    elif name == "--version":
        from dltrain import __version__

        print(f"dltrain {__version__}")
    elif name in COMMANDS:
        with Watcher(signals):
            _run_command(name, arguments, signals)
    else:
        raise _unknown(name)


def loaded(name: str) -> click.Command:
    """The command of that name, with all that it imports."""
    from pkgutil import resolve_name

    command: click.Command = resolve_name(COMMANDS[name][0])
    return command


def _run_command(name: str, arguments: list[str], signals: Signals) -> None:
    import click

    from dltrain.backends.threads import bound_by_the_system
    from dltrain.cli.printing import warnings_as_lines

    _check_clock()
    with warnings_as_lines():
        bound_by_the_system()
    command = loaded(name)
    signals.raise_from_now()
    try:
        with warnings_as_lines(), command.make_context(f"dltrain {name}", arguments, obj=signals) as context:
            command.invoke(context)
    except click.exceptions.Exit:  # --help, after it has printed
        pass
    except click.ClickException as error:
        raise _usage_error(error, f"dltrain {name}") from error


def _check_clock() -> None:
    """Raises StorageError where Python's own modules would fail at the time."""
    import time

    try:
        time.time()
    except OverflowError:
        from dltrain.errors import StorageError

        why = "it is beyond the year 2262, the last that Python can tell"
        raise StorageError("this machine's clock is wrong", why=why, fix="set it") from None


def _unknown(name: str) -> DltrainError:
    from difflib import get_close_matches

    from dltrain.errors import UsageError

    kind, known = ("option", OPTIONS) if name.startswith("-") else ("command", COMMANDS)
    near = get_close_matches(name, known, n=1)
    fix = f"did you mean {near[0]}?" if near else "see `dltrain --help`"
    return UsageError(f"no such {kind}: {name}", fix=fix)


def _usage_error(error: click.ClickException, command: str) -> DltrainError:
    from click import NoSuchOption

    from dltrain.errors import UsageError

    if isinstance(error, NoSuchOption) and error.possibilities:
        what, fix = f"no such option: {error.option_name}", f"did you mean {error.possibilities[0]}?"
    else:
        message = " ".join(error.format_message().split()).rstrip(".")
        what, fix = message[:1].lower() + message[1:], f"see `{command} --help`"
    return UsageError(what, where=command, fix=fix)


def _report(error: BaseException, debug: bool) -> int:
    """Prints what went wrong on stderr and returns the exit code."""
    from contextlib import suppress

    from dltrain.errors import Bug, ending, printable

    user_error = ending(error)
    if isinstance(error, BrokenPipeError):  # whoever read the output has left, as `| head` does
        return user_error.exit_code
    lines = [f"dltrain: error: {line}" for line in user_error.lines]
    if debug or isinstance(user_error, Bug):
        import traceback

        lines = [*"".join(traceback.format_exception(error)).splitlines(), *lines]
    for line in lines:
        with suppress(OSError):  # of a full disk, perhaps: the exit code still tells
            print(printable(line), file=sys.stderr)
    return user_error.exit_code


def _drop_unwritable_output() -> None:
    """Keeps Python from failing once more, when it ends, over output that cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_missing_streams() -> None:
    """A standard stream that is closed, as by `>&-`, becomes /dev/null, before a file gets its descriptor."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "w" if descriptor else "r", closefd=False))  # noqa: SIM115
