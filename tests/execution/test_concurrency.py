"""Sessions among threads, forks, signals and copies."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import dltrain as dl
from dltrain.backends.c.compiler import find_compiler
from dltrain.errors import GraphError
from dltrain.optimizers import Adam

kernels_on_and_off = pytest.mark.parametrize(
    "kernels",
    [
        "numpy",
        pytest.param(
            "native", marks=pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
        ),
    ],
)


@pytest.fixture(autouse=True)
def graph():
    with dl.Graph() as graph:
        yield graph


@kernels_on_and_off
def test_threads_that_share_a_session_get_their_own_results(kernels):
    x = dl.placeholder("float32", ("n", 64))
    count = dl.Variable(np.int64(0), trainable=False)
    session = dl.Session(kernels=kernels)
    function = session.make_callable([dl.tanh(x) * 3.0, count.assign(count + 1)], [x])

    def wrong(number):
        fed = np.full((1 + number % 3, 64), number / 100, "float32")
        expected = np.tanh(fed) * 3
        return sum(
            not np.allclose(found[0], expected, rtol=1e-4)
            for found in (
                *(function(fed) for _ in range(150)),
                *(session.run(function.program.fetches, {x: fed}) for _ in range(50)),
            )
        )

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(wrong, range(8))) == 0
    assert session.value(count) == 8 * 150


FORKS = """
import os, sys, threading
import numpy as np
import dltrain as dl

x = dl.Variable(np.full((500, 500), 1e-3, "float32"))
others = [dl.Variable(np.zeros((500, 500))) for _ in range(4)]  # state() takes the lock again for each
session = dl.Session(kernels=sys.argv[1])
step = session.make_callable([dl.sum(x @ x), x.assign(x * 1.0)])
act = {"steps": step, "state": session.state}[sys.argv[2]]
stop = threading.Event()
step()

def use():
    while not stop.is_set():
        act()

user = threading.Thread(target=use)
user.start()
for _ in range(20):
    child = os.fork()
    if not child:
        step()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
user.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("what", ["steps", "state"])
@kernels_on_and_off
def test_a_fork_while_another_thread_uses_the_session_hangs_neither_parent_nor_child(kernels, what):
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    subprocess.run([sys.executable, "-c", FORKS, kernels, what], check=True, timeout=60, env=environment)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
@kernels_on_and_off
def test_an_interrupt_leaves_all_of_a_commit_or_nothing(kernels):
    """The commit takes most of a step here: Adam on many variables that no product reads."""
    variables = [dl.Variable(np.zeros(60_000 + i, "float32"), name=f"v{i}") for i in range(8)]
    variables.append(dl.Variable(np.zeros(3), name="other"))  # another dtype: another group
    loss = dl.sum(dl.concat([dl.cast(v, "float32") * 2.0 for v in variables], axis=0))
    session = dl.Session(kernels=kernels)
    copied = dl.Variable(np.int64(0), trainable=False)
    swapped = dl.Variable(np.int64(1), trainable=False)
    updates = Adam(1e-3).minimize(loss) + copied.assign(swapped) + swapped.assign(copied)
    step = session.make_callable([loss, updates])
    step()
    begin = session.state()
    step()
    end = session.state()
    started = time.perf_counter()
    step()
    seconds = time.perf_counter() - started
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    handler = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    interrupted = 0
    try:
        for moment in range(250):
            session.load_state(begin)
            try:
                signal.setitimer(signal.ITIMER_REAL, max(1e-5, 1.2 * seconds * moment / 250))
                step()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            found = session.state()
            expected = end if found["step"] == end["step"] else begin
            for name, value in expected.items():
                np.testing.assert_array_equal(found[name], value, err_msg=f"{name} at moment {moment}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.signal(signal.SIGINT, before)
    assert interrupted  # how many depends on how busy the machine is


@pytest.mark.parametrize("what", ["session", "function", "bound"])
def test_what_holds_memory_is_not_pickled_or_copied(what):
    session = dl.Session()
    function = session.make_callable(dl.constant(1.0) + 1.0)
    it = {"session": session, "function": function, "bound": function.bind()}[what]
    for act in (pickle.dumps, copy.deepcopy):
        with pytest.raises(GraphError, match=r"cannot be pickled or copied: .*load_state") as caught:
            act(it)
        assert "\n" not in str(caught.value)


def test_a_session_has_the_kernels_of_the_command_line():
    """In a process of its own: here sessions have NumPy's unless told otherwise."""
    code = "import dltrain as dl; print(dl.Session().kernels)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == ("numpy\n" if find_compiler() is None else "native\n")
