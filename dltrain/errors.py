"""Every error that a user can meet, each with the exit code of the command line and the status of its run.

An error is one line, `WHAT: WHERE: WHY; WHAT TO DO`, so that a person sees at once what to change:

    learning_rate must be greater than 0: configs/mlp.yaml:7:18: it is -1.0; give a positive number
"""

from __future__ import annotations

from collections.abc import Sequence
from signal import SIGINT, Signals
from typing import Literal

from dltrain.places import Place


class DltrainError(Exception):
    """Base of every error of dltrain; raised itself only for what fits no other class.

    The line is put together when it is printed, so whoever catches the error may add what it knows
    (`error.fix += "; ..."`) and raise it again.

    Attributes:
        what: what is wrong, a short statement.
        where: a place, or text such as a path, a tensor's name, a command's option; may be empty.
        why: the facts that make it wrong (the value found, the operating system's reason); may be empty.
        fix: what to do; may be empty.
        exit_code: of the command line.
        status: of a run that it ends, in its `run.json`.
    """

    exit_code = 1
    status: Literal["completed", "stopped", "diverged", "failed"] = "failed"

    def __init__(self, what: str, *, where: Place | str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.why, self.fix = what, where, why, fix

    @property
    def problems(self) -> Sequence[DltrainError]:
        """This error, and those that were found together with it."""
        return (self,)

    @property
    def lines(self) -> list[str]:
        """The lines to print, one a problem."""
        return [problem.line for problem in self.problems]

    @property
    def line(self) -> str:
        """`WHAT: WHERE: WHY; WHAT TO DO`, of this problem alone."""
        line = ": ".join(part for part in (self.what, str(self.where), self.why) if part)
        return f"{line}; {self.fix}" if self.fix else line

    def __str__(self) -> str:
        return "\n".join(self.lines)


class UsageError(DltrainError):
    """The command line is wrong: exit code 2."""

    exit_code = 2


class ConfigError(UsageError, ValueError):
    """A config file, an override or a component's argument is wrong: exit code 2.

    Attributes:
        others: problems found at the same time, each printed on a line of its own; see `together`.
    """

    others: Sequence[ConfigError] = ()

    @property
    def problems(self) -> Sequence[ConfigError]:
        return (self, *self.others)

    @staticmethod
    def together(problems: Sequence[ConfigError]) -> ConfigError:
        """The first of all `problems` (at least one), with the others beside it."""
        first, *others = [each for problem in problems for each in problem.problems]
        first.others = others
        return first


class GraphError(DltrainError, ValueError):
    """A graph is built or used wrongly: shapes, dtypes, names, feeds. Exit code 2."""

    exit_code = 2


class NotDifferentiableError(GraphError):
    """A derivative was asked of an op that has none."""


class CompilerError(GraphError):
    """The C compiler of native kernels is missing, refuses, or makes what cannot be used."""


class DataError(DltrainError):
    """A data set is missing, damaged or cannot be downloaded: exit code 3."""

    exit_code = 3


class DivergedError(DltrainError):
    """Training met a value that is not finite: exit code 4, status "diverged"."""

    exit_code = 4
    status = "diverged"


class RunError(DltrainError):
    """A run directory or a checkpoint is missing, damaged, locked or in conflict: exit code 5."""

    exit_code = 5


class RequirementError(DltrainError):
    """A figure asked for with `--require` was not reached by a whole run: exit code 6, status "completed"."""

    exit_code = 6
    status = "completed"


class StorageError(DltrainError):
    """Disk full, no permission or other trouble of input and output: exit code 7."""

    exit_code = 7


class StoppedError(DltrainError):
    """A signal stopped the command: exit code 128 + its number, status "stopped".

    So 130 is SIGINT, 138 SIGUSR1, 141 SIGPIPE, 143 SIGTERM.
    """

    status = "stopped"

    def __init__(self, what: str, *, signal_number: int, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.exit_code = 128 + signal_number


class Bug(DltrainError):
    """An exception that nobody expected: exit code 1."""


class DltrainWarning(UserWarning):
    """What dltrain goes on in spite of; the command line prints it in one line."""


class Terminated(KeyboardInterrupt):
    """What SIGTERM and SIGUSR1 raise where they end a command at once, as SIGINT raises KeyboardInterrupt.

    No error, so that nothing that handles errors takes it for one: it may come anywhere.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


def ending(error: BaseException) -> DltrainError:
    """What a command that `error` ends prints, its exit code, and the status of its run: all as one error.

    Returns:
        `error` itself, if it is one of dltrain.
    """
    match error:
        case DltrainError():
            return error
        case Terminated(signal_number=number):
            return StoppedError(f"stopped by {Signals(number).name}", signal_number=number)
        case KeyboardInterrupt():
            return StoppedError("interrupted", signal_number=SIGINT)
        case BrokenPipeError():
            return StoppedError("nobody reads the output any more", signal_number=13)  # SIGPIPE
        case MemoryError():
            return StorageError("not enough memory", why=str(error))
        case OSError():
            where = str(error.filename or "")
            return StorageError("cannot read or write", where=where, why=error.strerror or str(error))
    from dltrain import __version__

    return Bug(f"this is a bug in dltrain {__version__}", fix="please report it, with all of the above")


def printable(text: str) -> str:
    """`text` with everything escaped that could disturb a terminal: control characters, surrogates, ..."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
