"""What besides config and seed decides the bits of a result: versions, BLAS, threads, platform, commit."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

import dltrain


def describe_environment(kernels: str) -> dict[str, Any]:
    """Plain data for `run.json`: `versions`, `blas`, `threads`, `kernels`, `platform`, `git_commit`.

    Never fails.

    Arguments:
        kernels: "native" or "numpy", what the session uses.
    """
    return {
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "dltrain": dltrain.__version__,
        },
        "blas": blas(),
        "threads": threads(),
        "kernels": kernels,
        "platform": platform.platform(),
        "git_commit": git_commit(Path.cwd()),
    }


def blas() -> dict[str, str]:
    """Name and version of the library that NumPy multiplies matrices with."""
    config: Any = np.show_config(mode="dicts")
    found = config.get("Build Dependencies", {}).get("blas", {})
    return {"name": str(found.get("name", "unknown")), "version": str(found.get("version", "unknown"))}


def threads() -> int:
    """How many threads BLAS uses; 1 where it does not tell."""
    return max((library["num_threads"] for library in threadpool_info()), default=1)


def git_commit(folder: Path) -> str | None:
    """The commit that is checked out in `folder`; None if there is none or git does not answer in time."""
    command = ["git", "rev-parse", "--verify", "HEAD"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
