"""How quantities are printed."""

from __future__ import annotations


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
