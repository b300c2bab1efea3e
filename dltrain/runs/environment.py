"""What besides config and seed decides the bits of a result: versions, BLAS, threads, platform, commit."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import dltrain
from dltrain.backends.threads import libraries, threads


def describe_environment(kernels: str) -> dict[str, Any]:
    """Plain data for `run.json`: `versions`, `blas`, `cpu`, `threads`, `kernels`, `platform`, `git_commit`.

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
        "cpu": cpu(),
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


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What may change the last bits of results, such as "numpy was 2.3.0, is 2.4.0"; empty if nothing does.

    Arguments:
        before, now: of `describe_environment`; `before` perhaps from a file.
    """
    old, new = (_deciding(environment) for environment in (before, now))
    if old.get("kernels") == new["kernels"] == "native":
        del new["threads"]  # native kernels give the same bits for any number of them
    return [f"{key} was {old.get(key, 'unknown')}, is {new[key]}" for key in new if old.get(key) != new[key]]


def _deciding(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the bits of results, flat."""
    versions, library = environment.get("versions"), environment.get("blas")
    deciding = dict(versions) if isinstance(versions, Mapping) else {}
    if isinstance(library, Mapping):
        deciding["BLAS"] = f"{library.get('name')} {library.get('version')}"
    return deciding | {key: environment.get(key) for key in ("cpu", "threads", "kernels")}


def cpu() -> str:
    """The kind of processor, by which BLAS chooses its kernels; its architecture where BLAS does not tell."""
    found = (library.get("architecture") for library in libraries())
    return next((str(name) for name in found if name), platform.machine())


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
