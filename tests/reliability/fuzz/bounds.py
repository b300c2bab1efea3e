"""What every reader promises: a typed error or a valid object, soon, in little memory; no foreign warning."""

from __future__ import annotations

import resource
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dltrain.errors import DltrainError, DltrainWarning

SECONDS = 3.0  # of processor time: the promise is 1, which a busy or older machine may take three times
MEMORY = 256 * 2**20  # bytes of address space beyond what the process has


class TookTooLong(BaseException):
    """No Exception, so that no reader takes it for an error of its own."""


@contextmanager
def bounded() -> Iterator[None]:
    """Lets a DltrainError pass, if it says something; all else is raised, a foreign warning too.

    Raises TookTooLong after `SECONDS` of processor time, MemoryError beyond 256 MiB.
    """

    def stop(*_: object) -> None:
        raise TookTooLong(f"not done after {SECONDS} s of processor time")

    previous = signal.signal(signal.SIGPROF, stop)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings(action="error"):
            warnings.simplefilter("ignore", DltrainWarning)
            yield
    except DltrainError as error:
        if not all(error.lines):
            raise AssertionError(f"an error that says nothing: {error!r}") from error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGPROF, previous)


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
