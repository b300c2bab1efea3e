"""Order in C: the same as NumPy's stable one, whatever the numbers are."""

import numpy as np
import pytest

import dltrain as dl

EXTREME = [np.nan, -np.nan, 0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-45, 1.0, -1.0, 3.4e38, -3.4e38]
SHAPES = [
    ((33,), 0),
    ((40, 20), 1),
    ((5, 3000), 1),
    ((300, 70), 0),
    ((2, 50, 33), 1),
    ((3, 1), 1),
    ((1, 3), 0),
]


def numbers(dtype, shape):
    """All that the dtype holds; few different numbers, which tie; only one."""
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        yield rng.standard_normal(shape)
        yield rng.choice(EXTREME, shape)
    else:
        least, greatest = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        yield rng.integers(least, greatest, shape, endpoint=True, dtype=dtype if dtype != "bool" else "int64")
    yield rng.integers(0, 2, shape)
    yield np.ones(shape)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_the_order_is_that_of_a_stable_sort(shape, axis, dtype):
    x = dl.placeholder(dtype, shape)
    fetches = [dl.argsort(x, axis), dl.argsort(x, axis, descending=True)]
    function = dl.Session(kernels="native", threads=2).make_callable(fetches, [x])
    assert all(call.function != "NumPy" for call in function.bind().plan.compute)
    for fed in numbers(dtype, shape):
        fed = fed.astype(dtype)
        ascending, descending = function(fed)
        np.testing.assert_array_equal(ascending, np.argsort(fed, axis, kind="stable"))
        backwards = np.argsort(np.flip(fed, axis), axis, kind="stable")
        np.testing.assert_array_equal(descending, shape[axis] - 1 - np.flip(backwards, axis))
