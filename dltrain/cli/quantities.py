"""How quantities are printed."""

from __future__ import annotations


def shown_bytes(number: int) -> str:
    """`512 B`, `1.5 KiB`, `2.0 GiB`."""
    size, units = float(number), ["KiB", "MiB", "GiB", "TiB"]
    if number < 1024:
        return f"{number} B"
    while size >= 1024 and units:
        size, unit = size / 1024, units.pop(0)
    return f"{size:.1f} {unit}"


def shown_operations(number: int) -> str:
    """`0 FLOP`, `12.3 MFLOP`, `4.5 GFLOP`."""
    size, units = float(number), ["k", "M", "G", "T", "P"]
    if number < 1000:
        return f"{number} FLOP"
    while size >= 1000 and units:
        size, unit = size / 1000, units.pop(0)
    return f"{size:.1f} {unit}FLOP"
