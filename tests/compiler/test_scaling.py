"""Cost grows as work grows: counted calls, bytes and function calls, not wall time."""

from __future__ import annotations

import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import dltrain as dl
from dltrain.backends.c.compiler import find_compiler
from dltrain.execution.function import BoundFunction
from dltrain.execution.plan import Plan
from dltrain.execution.session import Kernels
from dltrain.optimizers import Adam

NUMPY_ARRAYS = 389047  # the domain in which NumPy tells tracemalloc of the memory of its arrays

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
def graph() -> Iterator[dl.Graph]:
    with dl.Graph() as graph:
        yield graph


def perceptron(*, layers: int, width: int, kernels: Kernels = "numpy") -> Callable[[int], BoundFunction]:
    """A training step by Adam of relu layers of one width, to be bound to a batch."""
    x, labels = dl.placeholder("float32", ("batch", width)), dl.placeholder("int64", ("batch",))
    h = x
    for _ in range(layers):
        kernel = dl.Variable(np.eye(width), dtype="float32", name="kernel")
        h = dl.relu(h @ kernel + dl.Variable(np.zeros(width), dtype="float32", name="bias"))
    loss = dl.mean(dl.softmax_cross_entropy(h, labels))
    updates = Adam(learning_rate=1e-3).minimize(loss)
    function = dl.Session(kernels=kernels).make_callable([loss, updates], [x, labels], require_finite=[loss])

    def bind(batch: int) -> BoundFunction:
        bound = function.bind(batch=batch)
        bound.inputs[0][:] = 1
        bound.inputs[1][:] = 1
        return bound

    return bind


def calls(plan: Plan) -> int:
    return len(plan.compute) + len(plan.commit)


def function_calls(action: Callable[[], object]) -> int:
    """How many functions, Python's and C's, are called."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


@kernels_on_and_off
def test_a_step_costs_as_much_more_as_its_batch_is_larger(kernels: Kernels) -> None:
    bind = perceptron(layers=3, width=64, kernels=kernels)
    sizes = (4096, 8192, 16_384)
    bytes_ = [
        plan.bytes + sum(array.nbytes for array in plan.inputs) for plan in (bind(n).plan for n in sizes)
    ]
    counted = [calls(bind(n).plan) for n in sizes]
    assert bytes_[1] / bytes_[0] == pytest.approx(2, rel=0.05)
    assert bytes_[2] - bytes_[1] == pytest.approx(2 * (bytes_[1] - bytes_[0]), rel=0.01)
    if kernels == "native":
        assert len(set(counted)) == 1
    else:  # tiles of the same size, as many more
        assert counted[2] - counted[1] == 2 * (counted[1] - counted[0]) > 0
        assert counted[2] <= 2 * counted[1]


@kernels_on_and_off
def test_compiling_is_linear_in_nodes(kernels: Kernels) -> None:
    work = {}
    for layers in (96, 384):
        with dl.Graph():
            bind = perceptron(layers=layers, width=8, kernels=kernels)
            work[layers] = function_calls(lambda bind=bind: bind(4))  # type: ignore[misc]
    assert work[384] < 4.2 * work[96]


def test_building_and_differentiating_is_linear_in_nodes() -> None:
    work = {}
    for layers in (96, 384):
        with dl.Graph():
            work[layers] = function_calls(lambda n=layers: perceptron(layers=n, width=8))  # type: ignore[misc]
    assert work[384] < 4.2 * work[96]


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize("width", [8, 32])
def test_layers_of_one_kind_share_their_c(width: int) -> None:
    """What there is to compile grows neither with depth nor batch; 8 columns are multiplied in C."""
    sources = []
    for layers, batch in ((96, 8), (192, 8), (192, 16)):
        with dl.Graph():
            sources.append(perceptron(layers=layers, width=width, kernels="native")(batch).plan.source)
    assert sources[0] == sources[1] == sources[2]
    assert "loop0" in sources[0]


def test_calls_and_memory_are_linear_in_depth() -> None:
    plans = []
    for layers in (20, 40, 80):
        with dl.Graph():
            plans.append(perceptron(layers=layers, width=64)(128).plan)
    for count in (calls, lambda plan: plan.buffers):
        one, two, four = map(count, plans)
        assert four - two == pytest.approx(2 * (two - one), rel=0.05)


def recurrent(*, kernels: Kernels) -> Callable[[int], BoundFunction]:
    """The loss and its gradient of a recurrent network over 50 elements, to be bound to a batch."""
    x = dl.placeholder("float32", (50, "batch", 64))
    w = dl.Variable(np.eye(64), dtype="float32")
    first = dl.broadcast_to(dl.constant(0.0, "float32"), ("batch", 64))
    last, states = dl.scan(lambda h, element: ((g := dl.tanh(h @ w + element)), g), first, x)
    loss = dl.sum(states) + dl.sum(last)
    function = dl.Session(kernels=kernels).make_callable([loss, *dl.gradients(loss, [w])], [x])
    return lambda batch: function.bind(batch=batch)


@kernels_on_and_off
@pytest.mark.parametrize("network", ["perceptron", "recurrent"])
def test_a_plan_takes_the_memory_that_it_says(network: str, kernels: Kernels) -> None:
    loops = network == "recurrent"
    bind = recurrent(kernels=kernels) if loops else perceptron(layers=4, width=64, kernels=kernels)
    bind(8)  # the variables have memory now
    tracemalloc.start()
    try:
        bound = bind(2000)
        bound()
        arrays = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, NUMPY_ARRAYS)])
    finally:
        tracemalloc.stop()
    allocated = sum(trace.size for trace in arrays.traces)
    planned = bound.plan.bytes + sum(array.nbytes for array in bound.plan.inputs)
    assert planned > 2e6
    assert allocated == pytest.approx(planned, rel=0.01)


@kernels_on_and_off
def test_nothing_is_allocated_after_the_first_steps(kernels: Kernels) -> None:
    """The arrays would be 75 KiB each; an array of each loss, say, 100 KiB after a thousand steps."""
    step = perceptron(layers=2, width=64, kernels=kernels)(300)
    step()
    tracemalloc.start()
    try:
        step()
        first, first_peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(1000):
            step()
        last, last_peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert first_peak - first < 64 * 2**10  # NumPy's buffers, while it converts
    assert last - first < 4 * 2**10
    assert last_peak - first_peak < 4 * 2**10


@pytest.mark.parametrize("function", [dl.elu, dl.softplus, dl.softmax, dl.log_softmax])
def test_kernels_are_given_what_they_need_besides(function: Callable[[dl.Tensor], dl.Tensor]) -> None:
    x = dl.placeholder("float32", (1000, 60))
    bound = dl.Session(kernels="numpy").make_callable([dl.sum(function(x))], [x]).bind()
    bound.inputs[0][:] = np.random.default_rng(0).normal(size=(1000, 60))
    assert bound.plan.scratch > 0
    bound()
    tracemalloc.start()
    try:
        bound()
        current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - current < bound.inputs[0].nbytes / 4


@pytest.mark.slow
@kernels_on_and_off
def test_two_thousand_layers_compile_within_three_seconds(kernels: Kernels) -> None:
    """Processor time, the C compiler's included, on whatever runs this test."""
    bind = perceptron(layers=2000, width=8, kernels=kernels)
    before = os.times()
    bind(16)
    after = os.times()
    assert sum(after[:4]) - sum(before[:4]) < 3
