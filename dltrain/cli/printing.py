"""How lines and quantities are printed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
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


def shown_bytes(number: int) -> str:
    """`512 B`, `1.5 KiB`, `2.0 GiB`."""
    return _scaled(number, 1024, ["B", "KiB", "MiB", "GiB", "TiB"])


def shown_operations(number: int) -> str:
    """`0 FLOP`, `12.3 MFLOP`, `4.5 GFLOP`."""
    return _scaled(number, 1000, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"])


def _scaled(number: int, base: int, units: list[str]) -> str:
    power = 0
    while number >= base ** (power + 1) and power + 1 < len(units):
        power += 1
    return f"{number / base**power:.1f} {units[power]}" if power else f"{number} {units[0]}"


def shown_figures(figures: Mapping[str, Any], units: Mapping[str, str], prefix: str = "") -> str:
    """Figures that are one number; shares in per cent: `loss 0.0561  accuracy 98.41 %`.

    Arguments:
        units: of the figures, see `Metric`.
    """
    return "  ".join(
        f"{prefix}{name} " + (f"{100 * figure:.2f} %" if units.get(name) == "%" else f"{figure:.4g}")
        for name, figure in figures.items()
        if isinstance(figure, float)
    )


def shown_result(figures: Mapping[str, Any], units: Mapping[str, str]) -> str:
    """As `shown_figures`, the loss last."""
    return shown_figures(dict(sorted(figures.items(), key=lambda figure: figure[0] == "loss")), units)
