"""How many threads compute: as many as BLAS has been told to use."""

from __future__ import annotations

import os

from threadpoolctl import threadpool_info


def threads() -> int:
    """The number of BLAS' threads; where BLAS does not tell, that of the processors."""
    return max((library["num_threads"] for library in threadpool_info()), default=os.cpu_count() or 1)
