"""How many threads compute: as many as BLAS has been told to use."""

from __future__ import annotations

import os
from typing import Any

import numpy as np  # noqa: F401  its BLAS must be loaded to be asked and told
from threadpoolctl import threadpool_info, threadpool_limits

from dltrain.errors import GraphError

_limit: int | None = None


def libraries() -> list[dict[str, Any]]:
    """What threadpoolctl knows of the loaded libraries that have threads; nothing where it cannot tell."""
    try:
        return list(threadpool_info())
    except UnicodeDecodeError:  # it reads the paths of all libraries, and only UTF-8
        return []


def threads() -> int:
    """The number of BLAS' threads; where BLAS does not tell, the limit that was set, or one a processor."""
    known = [library["num_threads"] for library in libraries() if library["user_api"] == "blas"]
    return max(known, default=_limit or os.cpu_count() or 1)


def limit_threads(number: int) -> None:
    """Has BLAS, and native kernels that are compiled from now on, use `number` threads.

    Raises:
        GraphError: BLAS cannot be told.
    """
    global _limit
    try:
        threadpool_limits(limits=number)
    except UnicodeDecodeError:
        raise GraphError(
            "the threads of BLAS cannot be limited",
            why="a library lies in a folder whose name is not UTF-8",
            fix="set OPENBLAS_NUM_THREADS instead",
        ) from None
    _limit = number
