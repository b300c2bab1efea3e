"""How much memory this process has, as the system counts it."""

from __future__ import annotations

import re
from pathlib import Path

STATUS = Path("/proc/self/status")


def resident_bytes() -> int | None:
    """What it has now; None where the system does not tell."""
    return _field("VmRSS")


def peak_bytes() -> int | None:
    """The most it has had so far; None where the system does not tell."""
    return _field("VmHWM")


def _field(name: str) -> int | None:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    except OSError:  # no Linux
        return None
    return int(found[1]) * 1024 if found else None
