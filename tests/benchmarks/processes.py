"""Running the sides as processes of their own, and what each cost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).resolve().parent
THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",  # PyTorch
    "NPROC",  # JAX
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
# What would keep a library from choosing its kernels by itself, or Python from caching what it compiled: each
# side runs as its users find it.
DROPPED_VARIABLES = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "MKL_ENABLE_INSTRUCTIONS",
    "PYTHONDONTWRITEBYTECODE",
)


class SideFailedError(Exception):
    """A side's process did not end well; the message is the last line it wrote."""


class Done(NamedTuple):
    """Output of a process, and its cost: wall and processor seconds, highest resident memory in bytes.

    On Linux no peak is below that of this process, from which it was spawned: it imports little.
    """

    output: str
    wall: float
    cpu: float
    peak: int


def python_of(peers: dict[str, str], side: str) -> str:
    """The Python that runs a side: the peer's own, or ours."""
    return peers.get(side, sys.executable)


def run(
    command: Sequence[str],
    threads: int,
    folder: str,
    on_line: Callable[[str, float], None] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Done:
    """Runs a command in `folder` and waits for it.

    Arguments:
        on_line: called with each line it writes to stderr, and the seconds since its start.
        variables: of its environment, besides those that all sides have.

    Raises SideFailedError.
    """
    environment = {name: value for name, value in os.environ.items() if name not in DROPPED_VARIABLES}
    environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": "", **(variables or {})}
    if command[0] == sys.executable:
        environment["PYTHONPATH"] = str(REPOSITORY)
    errors: list[str] = []
    with tempfile.TemporaryFile("w+") as output:
        start = perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                errors.append(line.rstrip())
                if on_line:
                    on_line(line, perf_counter() - start)
        _, status, usage = os.wait4(process.pid, 0)
        wall = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said = [line for line in errors if line.strip()]
            raise SideFailedError(said[-1] if said else f"exit code {process.returncode}")
        output.seek(0)
        kibibytes = usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss / 1024
        return Done(output.read(), wall, usage.ru_utime + usage.ru_stime, int(kibibytes * 1024))
