"""Loops that C makes: one call of any length, with the bits of turns made from Python, interruptible."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import dltrain as dl
from dltrain.backends.c import C
from dltrain.backends.c.compiler import find_compiler
from dltrain.backends.numpy import NumPy
from dltrain.errors import GraphError


class Turned(C):
    """C that leaves loops to Python, and computes what their turns do."""

    def lower(self, work):
        return None if work.loop else super().lower(work)


def native(threads=2):
    return dl.Session(kernels="native", threads=threads)


def turned():
    return dl.Session(backends=[Turned(find_compiler(), 2), NumPy()])


def random(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def recurrent(x, w, **options):
    """A network whose states are an output, the old output, a sum, and a count; with dropout."""
    first = dl.broadcast_to(dl.constant(np.float32(0.5)), (x.shape[1], w.shape[0]))

    def cell(states, element):
        h, before, total, count = states
        following = dl.tanh(h @ w + element + 0.1 * dl.transpose(before) @ before)
        following = dl.dropout(following, 0.25, step=count)
        return (following, h, total + dl.sum(following), count + 1), (following, h, following[:, ::2])

    return dl.scan(cell, (first, first, np.float32(0.0), 0), x, **options)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "arrange",
    [
        lambda x: x,
        lambda x: dl.transpose(x, (2, 0, 1)),
        lambda x: dl.broadcast_to(x[0, :1], (40, 40, 40)),
    ],
    ids=["rows", "columns", "repeated"],
)
def test_the_bits_are_those_of_turns_made_from_python_and_of_any_number_of_threads(arrange, reverse):
    x, w = dl.Variable(random(40, 40, 40)), dl.Variable(0.1 * random(40, 40, seed=1))
    last, outputs = recurrent(arrange(x), w, reverse=reverse)
    slopes = dl.gradients(last[2] + sum(dl.sum(dl.square(output)) for output in outputs), [x, w])
    results = [*last, *outputs, *slopes]
    found = native().run(results)
    for session in (turned(), native(threads=1)):
        for a, b in zip(session.run(results), found, strict=True):
            np.testing.assert_array_equal(a, b)
    assert found[3] == 40


def test_a_loop_is_one_call_whose_c_does_not_depend_on_the_length():
    def steps(length):
        _, outputs = dl.scan(
            lambda s, _: (dl.sin(s) @ dl.exp(s), s), dl.Variable(random(3, 3)), length=length
        )
        return native().make_callable(outputs).bind().plan

    short, long = steps(3), steps(3000)
    assert [call.function for call in short.phases[0]] == ["scan"]
    assert short.source == long.source != ""
    assert long.bytes < short.bytes + 3000 * 9 * 4


def newton(square):
    return dl.while_loop(
        lambda r: dl.greater(dl.abs(r * r - square), 1e-12), lambda r: 0.5 * (r + square / r), square, 50
    )[0]


def test_loops_within_loops_are_one_call():
    """The nested radical sqrt(c + sqrt(c + ...)), by Newton's method."""
    c = dl.placeholder("float64", ())
    last, radicals = dl.scan(lambda r, _: (root := newton(c + r), root), np.float64(0.0), length=5)
    plan = native().make_callable(radicals, [c]).bind().plan
    assert [call.function for call in plan.phases[0]] == ["scan"]
    expected = [0.0]
    for _ in range(5):
        expected.append((2.0 + expected[-1]) ** 0.5)
    np.testing.assert_allclose(native().run(radicals, {c: 2.0}), expected[1:], rtol=1e-12)
    dl.check_gradients(last, [c], {c: 2.0})


def count_to(number, maximum=10**12):
    """0 + 1 + 2 + ..., and how many have been added, by two loops: the inner one adds at most a million."""

    def some(state):
        return dl.while_loop(
            lambda s: dl.logical_and(dl.less(s[0], number), dl.less(s[0], end_of(state))),
            lambda s: (s[0] + 1, s[1] + s[0]),
            state,
            maximum,
        )[0]

    def end_of(state):
        return state[0] + 1_000_000

    zero = dl.constant(0, "int64")
    return dl.while_loop(lambda s: dl.less(s[0], number), some, (zero, zero), maximum)[0]


def test_a_long_loop_is_interrupted_and_made_again():
    number = dl.placeholder("int64", ())
    function = native().make_callable(count_to(number), [number])
    function(3)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        function(10**12)
    timer.join()
    assert time.monotonic() - start < 60
    assert list(function(10)) == [10, 45]


def test_a_loop_that_takes_longer_than_python_waits_for_signals():
    """It returns to Python now and then, in the midst of both loops."""
    number = dl.placeholder("int64", ())
    turns = 12_345_678
    assert list(native().make_callable(count_to(number), [number])(turns)) == [
        turns,
        turns * (turns - 1) // 2,
    ]


def test_what_a_turn_refuses_is_said_of_its_own_numbers():
    """In a loop within a loop, of a number that was computed in the turn."""
    table, x = dl.constant([0, 2, 3, 4]), dl.placeholder("int64", (2, 3))

    def outer(state, row):
        return dl.scan(lambda s, e: (dl.gather(table, s + e), s), state, row)

    last, seen = dl.scan(outer, 0, x)
    function = native().make_callable([last, seen], [x])
    assert function(np.zeros((2, 3), "int64"))[0] == 0
    with pytest.raises(GraphError, match=r"gather\(.*test_native_loops.py:.*index 4 is out of range"):
        function([[1, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(function([[1, 0, 0], [-4, 0, 1]])[1], [[0, 2, 3], [4, 0, 0]])
