"""How many threads compute: as many as BLAS has been told to use."""

from __future__ import annotations

import os

import numpy as np  # noqa: F401  its BLAS must be loaded to be asked and told
from threadpoolctl import threadpool_info, threadpool_limits

_limit: int | None = None


def threads() -> int:
    """The number of BLAS' threads; where BLAS does not tell, the limit that was set, or one a processor."""
    known = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    return max(known, default=_limit or os.cpu_count() or 1)


def limit_threads(number: int) -> None:
    """Has BLAS, and native kernels that are compiled from now on, use `number` threads."""
    global _limit
    _limit = number
    threadpool_limits(limits=number)
