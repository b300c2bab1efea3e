"""The threads that run native plans: the same bits however many, beside other threads and processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import dltrain as dl
from dltrain.backends import threads
from dltrain.backends.c import cache
from dltrain.backends.c.call import CCall
from dltrain.backends.c.compiler import find_compiler
from dltrain.backends.c.threads import Threads, runtime_source
from dltrain.compiler.instructions import Instruction
from dltrain.errors import GraphError
from dltrain.optimizers import Adam


def on_threads(number, session, *arguments):
    """A function that is compiled for so many threads."""
    with threadpool_limits(number):
        assert threads.threads() == number
        function = session.make_callable(*arguments)
        function.bind()
    return function


def native():
    return dl.Session(kernels="native")


def random(*shape, seed=0, dtype="float32"):
    return dl.Variable(np.random.default_rng(seed).normal(size=shape), dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_and_large_loops_have_the_same_bits_on_any_number_of_threads(dtype):
    fetches = [
        random(n, 300, dtype=dtype) @ random(300, m, dtype=dtype) for n, m in ((1, 999), (7, 500), (301, 333))
    ]
    fetches.append(dl.transpose(random(300, 211, dtype=dtype)) @ random(300, 170, dtype=dtype))
    fetches.append(random(9, 40, 50, dtype=dtype) @ random(9, 50, 60, dtype=dtype))
    fetches.append(random(5, 1, 8, 16, dtype=dtype) @ random(70, 16, 8, dtype=dtype))
    fetches.append(random(530, 1100, dtype=dtype) @ random(1100, 1050, dtype=dtype))
    for size in (16_384, 16_385, 100_003):
        x = random(size, dtype=dtype)
        fetches += [dl.exp(x) * 0.3 + dl.tanh(x), dl.sin(x) / (1.0 + x * x)]
    fetches.append(
        dl.sigmoid(random(130, 257, dtype=dtype) * random(257, dtype=dtype) + random(130, 1, dtype=dtype))
    )
    for shape in ((7001, 10), (301, 307), (31, 50, 70)):
        x = random(*shape, dtype=dtype)
        fetches += [dl.sum(x, axis) * 0.01 for axis in range(len(shape))] + [dl.max(x, -1)]
    session = native()
    bits = set()
    for number in (1, 2, 3, 5, 8, 1):
        function = on_threads(number, session, fetches)
        bits |= {b"".join(result.tobytes() for result in function()) for _ in range(5)}
    assert len(bits) == 1
    for result, expected in zip(function(), dl.Session(kernels="numpy").run(fetches), strict=True):
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4 if dtype == "float32" else 1e-12)


def test_large_loops_are_whole_whatever_their_size():
    shapes = (
        (16_383,),
        (16_384,),
        (16_385,),
        (24_576,),
        (100_003,),
        (3, 8191),
        (2, 8193),
        (4097, 5),
        (1, 70_001),
    )
    variables = [random(*shape) for shape in shapes]
    fetches = [[2.0 * x + 1.0, x * x[..., :1]] for x in variables]
    session = native()
    for x, results in zip(variables, on_threads(3, session, fetches)(), strict=True):
        value = session.value(x)
        np.testing.assert_allclose(results[0], 2 * value + 1, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(results[1], value * value[..., :1])


def test_training_has_the_same_bits_on_any_number_of_threads():
    x, labels = random(256, 200), dl.constant(np.arange(256) % 10)
    w, b, v = random(200, 300, seed=1), dl.Variable(np.zeros(300, "float32")), random(300, 10, seed=2)
    loss = dl.mean(dl.softmax_cross_entropy(dl.relu(0.05 * x @ w + b) @ v, labels))
    step = [loss, Adam(learning_rate=0.01).minimize(loss)]
    states, losses = set(), []
    for number in (1, 2, 3, 5, 2):
        session = native()
        train = on_threads(number, session, step)
        losses.append([train()[0] for _ in range(6)])
        states.add(b"".join(value.tobytes() for value in session.state().values()))
    assert len(states) == 1
    assert losses == [losses[0]] * len(losses)
    assert losses[0][-1] < losses[0][0]


def test_python_threads_at_once_each_get_their_own_results():
    x, y = random(200, 210), random(210, 220, seed=1)
    functions = [on_threads(2, native(), [x @ y, dl.tanh(x) * factor]) for factor in (1.0, 2.0)]
    session = native()
    functions += [on_threads(2, session, [x @ y * 3.0]), on_threads(2, session, [dl.exp(x) - 1.0])]
    expected = [function() for function in functions]
    start = threading.Barrier(len(functions))

    def agrees(function, values):
        start.wait()
        return all(
            np.array_equal(result, value)
            for _ in range(200)
            for result, value in zip(function(), values, strict=True)
        )

    with ThreadPoolExecutor(len(functions)) as executor:
        assert all(executor.map(agrees, functions, expected))


def test_threads_that_fell_asleep_work_again():
    function = on_threads(3, native(), dl.exp(random(300, 200) @ random(200, 300, seed=1) * 0.01))
    expected = function()
    for _ in range(2):
        time.sleep(0.3)
        np.testing.assert_array_equal(function(), expected)


def test_threads_awake_and_asleep_all_take_part():
    source = """
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

int64_t meet(char **p, const int64_t *n, int64_t start, int64_t stop) {
  const time_t end = time(0) + 10;
  atomic_fetch_add((_Atomic int64_t *)p[0], 1);
  while (atomic_load((_Atomic int64_t *)p[0]) < n[0])
    if (time(0) < end) {
      sched_yield();
    } else {
      ((int64_t *)p[1])[start] = 1;
      break;
    }
  return 0;
}
"""
    meeting, threads = cache.load([source, runtime_source()], find_compiler())
    come, late = np.zeros(1, "int64"), np.zeros(4, "int64")
    call = CCall(Instruction((), {}), "meet", source, [come, late], [4], tasks=4)
    call.bind(meeting)
    run = Threads(threads, 4).call([call]).run
    Threads(threads, 1)  # another session's, which has one
    for pause in (0, 0, 0.3, 0, 0.3):
        time.sleep(pause)
        come[:] = 0
        run()
        assert not late.any()  # each of the four tasks has seen the others begun


def test_more_threads_than_processors_and_tasks():
    x = random(5, 16_384)
    function = on_threads(64, native(), [x + 1.0, random(2, 600) @ random(600, 40, seed=1)])
    value = native().value(x)
    for _ in range(50):
        np.testing.assert_array_equal(function()[0], value + 1)


def test_a_check_that_fails_late_in_a_run_names_its_op_and_nothing_is_committed():
    labels = dl.placeholder("int64", (300,), "labels")
    w, v = random(300, 400), random(400, 12, seed=1)
    hidden = dl.tanh(0.01 * (w @ random(400, 400, seed=2)))
    loss = dl.mean(dl.softmax_cross_entropy(hidden @ v, labels))
    session = native()
    with threadpool_limits(2):
        step = session.make_callable([loss, Adam(learning_rate=0.01).minimize(loss)], [labels])
        bound = step.bind()
    assert len(bound.plan.phases[0]) == 1  # the products before the loss and after it are one run
    assert sum(call.function == "product" for call in bound.plan.compute) >= 4
    step(np.full(300, 11))
    before = session.state()
    with pytest.raises(GraphError, match=r"softmax_cross_entropy\(.*label 12 is out of range"):
        step(np.full(300, 12))
    for name, value in session.state().items():
        np.testing.assert_array_equal(value, before[name])
    step(np.full(300, 0))


def test_an_interrupt_ends_native_work():
    function = on_threads(2, native(), random(500, 500) @ random(500, 500, seed=1))
    expected = function()
    end = time.monotonic() + 20

    def work():
        while time.monotonic() < end:
            function()

    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        work()
    timer.join()
    np.testing.assert_array_equal(function(), expected)


def output_of(script):
    """What a process of its own prints."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]  # of a fork beside threads
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are listed in Linux's /proc")
def test_threads_leave_signals_to_python():
    masks = output_of("""
import os
from pathlib import Path
import numpy
from threadpoolctl import threadpool_limits
import dltrain as dl

with threadpool_limits(4):
    before = set(os.listdir("/proc/self/task"))
    dl.Session(kernels="native").run(dl.Variable(1.0) + 1.0)
for thread in set(os.listdir("/proc/self/task")) - before:
    status = Path("/proc/self/task", thread, "status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk")))
""").split()
    wanted = sum(1 << number - 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1))
    assert sum(int(mask, 16) & wanted == wanted for mask in masks) == 3  # and the main thread


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_process_forked_in_the_midst_of_a_run_computes_by_itself():
    printed = output_of("""
import os, threading, time
import numpy as np
from threadpoolctl import threadpool_limits
import dltrain as dl

threadpool_limits(4)
x = dl.Variable(np.random.default_rng(0).normal(size=(700, 700)))
session = dl.Session(kernels="native")
busy, other = session.make_callable(x @ x).bind(), session.make_callable(dl.exp(x) @ x[:, :300])
result, expected = busy.plan.fetches[0], other()
stop = threading.Event()
def run():
    while not stop.is_set():
        busy()
thread = threading.Thread(target=run)
thread.start()
for _ in range(12):
    time.sleep(0.01)
    child = os.fork()
    if child == 0:
        right = np.array_equal(other(), expected)  # on the child's only thread
        result.fill(0)
        fresh = dl.Session(kernels="native").run(dl.exp(x) @ x[:, :300])  # on new ones
        time.sleep(0.02)
        print(right, np.array_equal(fresh, expected), not result.any(), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
thread.join()
print(*[np.array_equal(other(), expected) for _ in range(3)])
""")
    assert set(printed.split()) == {"True"}
    assert len(printed.split()) == 12 * 3 + 3
