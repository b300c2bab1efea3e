"""How much memory this process has, as the system counts it."""

from __future__ import annotations

import re
from pathlib import Path

STATUS = Path("/proc/self/status")


def process_memory() -> tuple[int, int] | None:
    """Bytes: what it has now, and the most it has had so far; None where the system does not tell."""
    try:
        fields = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE))
        return int(fields["VmRSS"]) * 1024, int(fields["VmHWM"]) * 1024
    except (OSError, KeyError):  # no Linux
        return None
