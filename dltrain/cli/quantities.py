"""How quantities are printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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


def shown_figures(figures: Mapping[str, Any], prefix: str = "") -> str:
    """Figures that are one number; accuracies in per cent: `loss 0.0561  accuracy 98.41 %`."""
    return "  ".join(
        f"{prefix}{name} " + (f"{100 * figure:.2f} %" if "accuracy" in name else f"{figure:.4g}")
        for name, figure in figures.items()
        if isinstance(figure, float)
    )


def shown_result(figures: Mapping[str, Any]) -> str:
    """As `shown_figures`, the loss last."""
    return shown_figures(dict(sorted(figures.items(), key=lambda figure: figure[0] == "loss")))
