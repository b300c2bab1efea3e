"""Every test has a graph of its own, every module a cache of kernels; all need a C compiler."""

import os
from pathlib import Path

import pytest

import dltrain as dl
from dltrain.backends.c.compiler import find_compiler


@pytest.fixture(autouse=True)
def graph():
    if find_compiler() is None:
        pytest.skip("there is no C compiler")
    with dl.Graph() as graph:
        yield graph


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["XDG_CACHE_HOME"], "dltrain", "kernels")
