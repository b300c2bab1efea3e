"""What holds for all tests."""

import os
import signal

# Tests run side by side: BLAS threads of one would stand in the way of the others. Before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

# A shell's background job ignores SIGINT, and so do all processes that it starts; tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def numpy_kernels():
    """A session that is not told which kernels to use has NumPy's: their bits do not depend on a compiler."""
    from dltrain.execution import Session

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Session.__init__.__kwdefaults__, "kernels", "numpy")
        yield


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory: pytest.TempPathFactory):
    """A kernel cache of the test run's own, empty at its start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
