"""What a run records about the machine and the software."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from dltrain.backends.threads import limit_threads, threads
from dltrain.errors import GraphError
from dltrain.runs.environment import describe_environment, differences, git_commit


def test_it_is_plain_data_with_the_versions() -> None:
    environment = describe_environment("numpy")
    assert json.loads(json.dumps(environment)) == environment
    assert environment["versions"]["numpy"] == np.__version__
    assert environment["versions"]["python"] == platform.python_version()
    assert environment["versions"]["dltrain"]
    assert environment["blas"]["name"]
    assert environment["threads"] >= 1


def test_threads_are_what_blas_uses() -> None:
    with threadpool_limits(limits=1):
        assert threads() == 1
    assert 1 <= threads() <= (os.cpu_count() or 1)


def test_paths_that_are_not_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    """threadpoolctl reads the paths of all libraries, the cached kernels' among them."""

    def cannot_read(*_: object, **__: object) -> None:
        b"\xff".decode("utf-8")

    monkeypatch.setattr("threadpoolctl.threadpool_info", cannot_read)
    monkeypatch.setattr("threadpoolctl.threadpool_limits", cannot_read)
    monkeypatch.setattr("dltrain.backends.threads._limit", None)
    environment = describe_environment("native")
    assert environment["threads"] == len(os.sched_getaffinity(0))
    assert environment["cpu"] == platform.machine()
    with pytest.raises(GraphError, match="cannot be limited: a library lies in a folder"):
        limit_threads(1)


def test_threads_where_blas_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threadpoolctl.threadpool_info", list)
    monkeypatch.setattr("threadpoolctl.threadpool_limits", lambda limits: None)
    monkeypatch.setattr("dltrain.backends.threads._limit", None)
    assert threads() == len(os.sched_getaffinity(0))
    monkeypatch.setattr("dltrain.backends.threads.processors", lambda: 3)
    limit_threads(3)
    assert threads() == 3


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("numpy", "numpy", ["threads was 1, is 2"]),
        ("native", "numpy", ["threads was 1, is 2", "kernels was native, is numpy"]),
        ("numpy", "native", ["threads was 1, is 2", "kernels was numpy, is native"]),
        ("native", "native", []),
    ],
)
def test_the_number_of_threads_decides_bits_unless_all_kernels_are_native(
    before: str, now: str, expected: list[str]
) -> None:
    environment = describe_environment("numpy")
    old, new = (
        environment | {"kernels": kernels, "threads": number} for kernels, number in ((before, 1), (now, 2))
    )
    assert differences(old, new) == expected


def test_git_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit(tmp_path) is None
    assert git_commit(tmp_path / "missing") is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    try:
        subprocess.run([*git, "init", "--quiet"], check=True)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    assert git_commit(tmp_path) is None  # nothing is committed yet
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "x"], check=True)
    commit = git_commit(tmp_path)
    assert commit is not None
    assert len(commit) == 40
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(tmp_path) is None
