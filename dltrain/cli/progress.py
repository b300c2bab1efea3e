"""How training is shown on stderr: a bar on a terminal, else one plain line an epoch."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from io import StringIO
from typing import TYPE_CHECKING, Any

import click

from dltrain.cli.printing import shown_figures
from dltrain.errors import UsageError
from dltrain.training.records import EpochDone, Record, Started, StepDone

if TYPE_CHECKING:
    from tqdm import tqdm

STYLES = ("auto", "bar", "plain", "none")


class Progress:
    """Shows records as they come; to be closed.

    Arguments:
        style: one of `STYLES`.

    Raises UsageError where tqdm cannot draw a bar as variables of the environment tell it.
    """

    def __init__(self, style: str) -> None:
        if style == "auto":
            style = "bar" if sys.stderr.isatty() else "plain"
        if style == "bar":
            _check_bar()
        self._style = style
        self._bar: tqdm[Any] | None = None
        self._epochs = 0
        self._units: Mapping[str, str] = {}

    def report(self, record: Record) -> None:
        """Shows a record. Where stderr cannot be written, as when its terminal is gone, no more is shown."""
        try:
            self._show(record)
        except BrokenPipeError:  # whoever read it has had enough
            raise
        except OSError:
            self._style, self._bar = "none", None

    def _show(self, record: Record) -> None:
        match record:
            case _ if self._style == "none":
                pass
            case Started():
                self._epochs, self._units = record.total_epochs, record.units
                if self._style == "bar":
                    from tqdm import tqdm

                    self._bar = tqdm(
                        total=record.total_steps,
                        initial=record.start_step,
                        unit=" steps",
                        dynamic_ncols=True,
                        file=sys.stderr,
                    )
            case StepDone(_, epoch, loss, _):
                if self._bar is not None and self._bar.update():  # true when it has drawn itself
                    self._bar.set_postfix_str(f"epoch {epoch}/{self._epochs}, loss {loss:.4g}", refresh=False)
            case EpochDone() if self._bar is not None:
                self._bar.write(self._line(record), file=sys.stderr)
            case EpochDone():
                click.echo(self._line(record), err=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _line(self, record: EpochDone) -> str:
        figures = shown_figures(record.train, self._units, "train ")
        if record.validation:
            figures += "  " + shown_figures(record.validation, self._units, "validation ")
        return (
            f"epoch {record.epoch}/{self._epochs}  step {record.step}  {figures}  "
            f"{record.seconds:.1f} s  {record.examples_per_second:,.0f} examples/s"
        )


def _check_bar() -> None:
    """Draws one nowhere. Raises UsageError."""
    variables = ", ".join(name for name in os.environ if name.startswith("TQDM_"))
    try:
        from tqdm import tqdm

        tqdm(total=1, file=StringIO()).close()
    except Exception as error:  # whatever the variables lead to
        if not variables:
            raise
        fix = "unset what is wrong, or give --progress plain"
        raise UsageError("tqdm cannot draw a bar", where=variables, why=str(error), fix=fix) from error
