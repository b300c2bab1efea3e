"""How many threads compute: no more than there are processors, and than the system starts."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from run_helpers import softmax_config, write_data
from threadpoolctl import threadpool_limits

from dltrain.backends.c.cache import load
from dltrain.backends.c.call import CCall
from dltrain.backends.c.compiler import find_compiler
from dltrain.backends.c.threads import Threads, runtime_source
from dltrain.backends.threads import limit_threads, threads
from dltrain.compiler.instructions import Instruction
from dltrain.errors import DltrainWarning

DLTRAIN = [sys.executable, "-m", "dltrain"]


def test_no_more_are_used_than_there_are_processors() -> None:
    with threadpool_limits(None):
        with pytest.warns(DltrainWarning, match="of 4096 threads are used: there are no more processors"):
            limit_threads(4096)
        assert threads() == len(os.sched_getaffinity(0))
        limit_threads(1)
        assert threads() == 1


def test_more_threads_than_processors_are_no_slower_than_one_a_processor(tmp_path: Path) -> None:
    """Without a bound, BLAS' threads wait for each other awake: this does not end in minutes."""
    (tmp_path / "c.yaml").write_text(softmax_config(write_data(tmp_path)))
    command = [*DLTRAIN, "fit", "c.yaml", "--kernels", "numpy", "--threads", "32000", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stderr.startswith("dltrain: warning: ")
    assert done.stderr.endswith("of 32000 threads are used: there are no more processors\n")


def test_processors_that_a_process_may_not_use_do_not_count() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from dltrain.backends import threads; print(threads.processors(), threads.threads())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1 1\n"


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
def test_native_kernels_run_on_the_threads_that_the_system_starts() -> None:
    compiler = find_compiler()
    assert compiler is not None
    one_more = "static int starts = 1;\n"
    one_more += "#define pthread_create(...) (starts-- > 0 ? (pthread_create)(__VA_ARGS__) : 11)\n"
    product = "int64_t count(char **p, const int64_t *n, int64_t start, int64_t stop) {"
    product += " for (int64_t i = start; i < stop; ++i) ++((int64_t *)p[0])[i]; return 0; }"
    runtime = "#include <pthread.h>\n" + one_more + runtime_source()
    library, counting = load([runtime, "#include <stdint.h>\n" + product], compiler)
    with pytest.warns(DltrainWarning, match="2 of 4 threads are used: the system starts no more"):
        threads = Threads(library, 4)
    counts = np.zeros(1000, "int64")
    call = CCall(Instruction((), {}), "count", product, [counts], tasks=1000)
    call.bind(counting)
    run = threads.call([call]).run
    for _ in range(10):
        run()
    assert (counts == 10).all()


@pytest.mark.skipif(
    os.geteuid() != 0 or not (shutil.which("setpriv") and shutil.which("prlimit")),
    reason="a limit on processes is tried as a user who has none",
)
@pytest.mark.parametrize("limit", [2, 6])
def test_a_limit_on_processes_means_one_thread_and_a_line(limit: int) -> None:
    user = 4_000_000 + os.getpid() * 10 + limit
    with tempfile.TemporaryDirectory() as name:  # pytest's own is for root alone
        folder = Path(name)
        (folder / "c.yaml").write_text(softmax_config(write_data(folder)))
        os.chown(folder, user, -1)
        rights = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]  # to read Python's files
        as_user = ["setpriv", "--reuid", str(user), *rights, "prlimit", f"--nproc={limit}"]
        fit = [*DLTRAIN, "fit", "c.yaml", "--run-dir", "run", "--quiet", "--kernels", "numpy"]
        done = subprocess.run(
            [*as_user, *fit], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        if "setpriv" in done.stderr:
            pytest.skip(done.stderr)
        assert done.returncode == 0, done.stderr
        assert (folder / "run" / "summary.json").exists()
    if limit == 2:
        assert done.stderr == "dltrain: warning: one thread is used: the system starts no more\n"
