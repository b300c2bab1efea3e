"""How many threads compute: as many as BLAS has been told to use."""

from __future__ import annotations

import os
import warnings
from threading import Event, Thread
from typing import Any

from dltrain.errors import DltrainWarning, GraphError

_limit: int | None = None


def libraries() -> list[dict[str, Any]]:
    """What threadpoolctl knows of the loaded libraries that have threads; nothing where it cannot tell."""
    import numpy as np  # noqa: F401  its BLAS must be loaded to be asked
    from threadpoolctl import threadpool_info

    try:
        return list(threadpool_info())
    except UnicodeDecodeError:  # it reads the paths of all libraries, and only UTF-8
        return []


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """The number of BLAS' threads; where BLAS does not tell, the limit that was set, or one a processor."""
    known = [library["num_threads"] for library in libraries() if library["user_api"] == "blas"]
    return max(known, default=_limit or processors())


def limit_threads(number: int) -> None:
    """Has BLAS, and the native kernels of sessions that are made from now on, use `number` threads.

    With more than one a processor, which would wait for each other awake, it warns, and uses so many.

    Raises:
        GraphError: BLAS cannot be told.
    """
    global _limit
    import numpy as np  # noqa: F401  its BLAS must be loaded to be told
    from threadpoolctl import threadpool_limits

    usable = min(number, processors())
    if usable < number:
        warnings.warn(
            DltrainWarning(f"{usable} of {number} threads are used: there are no more processors"),
            stacklevel=2,
        )
    try:
        threadpool_limits(limits=usable)
    except UnicodeDecodeError:
        raise GraphError(
            "the threads of BLAS cannot be limited",
            why="a library lies in a folder whose name is not UTF-8",
            fix="set OPENBLAS_NUM_THREADS instead",
        ) from None
    _limit = usable


def bound_by_the_system() -> None:
    """Has BLAS, which is not loaded yet, use one thread where the system refuses one a processor.

    As under `ulimit -u`; OpenBLAS would interrupt the process.
    """
    done = Event()
    started = []
    try:
        for _ in range(processors()):
            thread = Thread(target=done.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
        warnings.warn(DltrainWarning("one thread is used: the system starts no more"), stacklevel=2)
    finally:
        done.set()
        for thread in started:
            thread.join()
