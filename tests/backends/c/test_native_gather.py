"""Choosing by indices, adding where they point, and cumulative sums in C, in several tasks."""

import numpy as np
import pytest

import dltrain as dl
from dltrain.errors import GraphError

SHAPES = [
    ((50_000,), 0),
    ((700, 300), 0),
    ((700, 300), 1),
    ((9, 80, 70), 1),
    ((3, 5000, 2), 1),
    ((1, 2, 1), 1),
]


def results_of(fetches, feeds=None):
    """The fetches, computed by C alone."""
    function = dl.Session(kernels="native", threads=2).make_callable(fetches, list(feeds or ()))
    assert all(call.function != "NumPy" for call in function.bind().plan.compute)
    return function(*(feeds or {}).values())


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_what_is_chosen_and_added_in_tasks(shape, axis, dtype):
    rng = np.random.default_rng(0)
    x = rng.integers(-1000, 1000, shape).astype(dtype)  # sums are exact
    size, count = shape[axis], shape[axis] * 2
    chosen = rng.integers(0, size, (2, size))
    along = rng.integers(0, size, (*shape[:axis], count, *shape[axis + 1 :]))
    a = dl.placeholder(dtype, shape)
    taken = np.take(x, chosen, axis)
    spread = np.take_along_axis(x, along, axis)
    added, added_along = np.zeros_like(x), np.zeros_like(x)
    np.add.at(added, (*(slice(None),) * axis, chosen), taken)
    where = list(np.indices(along.shape))
    where[axis] = along
    np.add.at(added_along, tuple(where), spread)
    fetches = [dl.gather(a, chosen, axis), dl.take_along_axis(a, along, axis)]
    fetches.append(dl.scatter_add(fetches[0], chosen, size, axis))
    expected = [taken, spread, added]
    if dtype != "int64":
        fetches.append(dl.gradients(fetches[1], [a], upstream=fetches[1])[0])
        expected.append(added_along)
    for result, right in zip(results_of(fetches, {a: x}), expected, strict=True):
        np.testing.assert_array_equal(result, right)


@pytest.mark.parametrize("function", [dl.gather, dl.take_along_axis])
def test_an_index_out_of_range_in_any_task_is_named(function):
    x, indices = dl.placeholder("float32", (60_000,)), dl.placeholder("int64", (60_000,))
    y = function(x, indices, axis=0)
    step = dl.Session(kernels="native", threads=2).make_callable([y, *dl.gradients(y, [x])], [x, indices])
    for place, wrong in ((0, -1), (59_999, 60_000)):
        chosen = np.arange(60_000)
        chosen[place] = wrong
        with pytest.raises(GraphError, match=rf"index {wrong} is out of range"):
            step(np.zeros(60_000), chosen)
    step(np.zeros(60_000), np.arange(60_000))


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_cumulative_sums_in_tasks(shape, axis):
    x = np.random.default_rng(0).integers(-1000, 1000, shape).astype("float64")
    a = dl.placeholder("float64", shape)
    sums = np.cumsum(x, axis)
    from_the_end = np.flip(np.cumsum(np.flip(x, axis), axis), axis)
    fetches = [
        dl.cumsum(a, axis, reverse, exclusive) for reverse in (False, True) for exclusive in (False, True)
    ]
    expected = [sums, sums - x, from_the_end, from_the_end - x]
    for result, right in zip(results_of(fetches, {a: x}), expected, strict=True):
        np.testing.assert_array_equal(result, right)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_slices_that_cut_several_axes(dtype):
    x = dl.placeholder(dtype, (7, 9, 6))
    keys = [np.s_[1:5, 2:8:3, ::2], np.s_[2, 3:7], np.s_[0, 0, 0], np.s_[3:6, None, 4, 1:5]]
    values = np.random.default_rng(0).integers(-9, 9, (7, 9, 6)).astype(dtype)  # sums are exact
    parts = [x[key] for key in keys]
    fetches = dl.gradients(sum(dl.sum(dl.square(part)) for part in parts), [x])
    expected = np.zeros_like(values)
    for key in keys:
        expected[key] += 2 * values[key]
    function = dl.Session(kernels="native").make_callable(fetches, [x])
    assert all(call.function != "NumPy" for call in function.bind().plan.compute)
    np.testing.assert_array_equal(function(values)[0], expected)
