"""Matrix products in C, against NumPy's in float64."""

import itertools

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import dltrain as dl

SIZES = (1, 2, 13, 14, 15, 16, 17, 31, 32, 33, 47, 100)  # around the edges of tiles
INNER = (1, 2, 100, 255, 256, 257, 600)  # around the depth of a part of a sum
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def evaluated(fetches):
    """The fetches, all of whose products C computes, on two threads."""
    with threadpool_limits(2):
        bound = dl.Session(kernels="native").make_callable(fetches).bind()
    assert all(call.function != "NumPy" for call in bound.plan.compute)
    return bound()


def assert_is_product(result, a, b):
    """A sum of n products, in any order, is off by at most n u sum |a b|, u = eps / 2 (Higham 2002, 3.1).

    So is the one that it is compared with.
    """
    assert result.dtype == a.dtype
    a, b, eps = a.astype("float64"), b.astype("float64"), np.finfo(a.dtype).eps
    bound = a.shape[-1] * eps * np.matmul(np.abs(a), np.abs(b))
    error = np.abs(result - np.matmul(a, b))
    assert result.shape == error.shape
    assert (error <= bound).all(), f"{a.shape} @ {b.shape}: off by {(error / bound).max()} times the bound"


@both_dtypes
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_all_sizes_around_the_edges_of_tiles(transpose_a, transpose_b, dtype):
    rng = np.random.default_rng(0)
    factors, fetches = [], []
    for (rows, columns), inner in zip(itertools.product(SIZES, SIZES), itertools.cycle(INNER), strict=False):
        a, b = rng.normal(size=(rows, inner)).astype(dtype), rng.normal(size=(inner, columns)).astype(dtype)
        factors.append((a, b))
        x, y = dl.Variable(a.T if transpose_a else a), dl.Variable(b.T if transpose_b else b)
        fetches.append(dl.matmul(x, y, transpose_a, transpose_b))
    for result, (a, b) in zip(evaluated(fetches), factors, strict=True):
        assert_is_product(result, a, b)


@both_dtypes
@pytest.mark.parametrize("inner", INNER)
def test_every_depth_in_many_tasks(inner, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(301, inner)).astype(dtype), rng.normal(size=(inner, 333)).astype(dtype)
    assert_is_product(evaluated(dl.Variable(a) @ dl.Variable(b)), a, b)


@both_dtypes
def test_views_are_read_where_they_stand_and_nothing_around_them(dtype):
    rng = np.random.default_rng(0)
    a, b = np.full((60, 80), np.nan, dtype), np.full((80, 70), np.nan, dtype)
    a[3:50, 5:64] = rng.normal(size=(47, 59))
    b[7:66, 2:49] = rng.normal(size=(59, 47))
    x, y = dl.Variable(a), dl.Variable(b)
    results = evaluated(
        [
            x[3:50, 5:64] @ y[7:66, 2:49],
            dl.transpose(y[7:66, 2:49]) @ dl.transpose(x[3:50, 5:64]),
            x[3:50:3, 5:64:2] @ y[7:66:2, 2:49:4],
            x[3:50, 5:6] @ y[7:8, 2:49],
        ]
    )
    a, b = a[3:50, 5:64], b[7:66, 2:49]
    for result, left, right in zip(
        results, (a, b.T, a[::3, ::2], a[:, :1]), (b, a.T, b[::2, ::4], b[:1]), strict=True
    ):
        assert_is_product(result, left, right)


@both_dtypes
def test_rows_farther_apart_than_a_page(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(29, 300)).astype(dtype), rng.normal(size=(300, 1100)).astype(dtype)
    y = dl.Variable(b)
    for result, right in zip(
        evaluated([dl.Variable(a) @ y, dl.Variable(a) @ y[:, 5:69]]), (b, b[:, 5:69]), strict=True
    ):
        assert_is_product(result, a, right)


@both_dtypes
def test_stacks_of_matrices(dtype):
    rng = np.random.default_rng(0)
    shapes = [
        ((5, 17, 40), (5, 40, 33)),
        ((17, 40), (5, 40, 33)),
        ((1, 17, 40), (5, 40, 33)),
        ((5, 17, 40), (40, 33)),
        ((5, 17, 40), (1, 40, 33)),
        ((1, 170, 400), (1, 400, 330)),
        ((2, 5, 17, 40), (2, 5, 40, 33)),
        ((2, 5, 17, 40), (40, 33)),
        ((5, 1, 17, 40), (7, 40, 33)),
        ((3, 1, 2, 17, 40), (4, 1, 40, 33)),
        ((3, 5, 400, 64), (1, 5, 64, 400)),
    ]
    factors = [(rng.normal(size=a).astype(dtype), rng.normal(size=b).astype(dtype)) for a, b in shapes]
    fetches = [dl.Variable(a) @ dl.Variable(b) for a, b in factors]
    for result, (a, b) in zip(evaluated(fetches), factors, strict=True):
        assert_is_product(result, a, b)


@both_dtypes
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_stacks_of_small_matrices_of_all_sizes(transpose_a, transpose_b, dtype):
    rng = np.random.default_rng(0)
    factors, fetches = [], []
    for size in range(2, 33):
        a = rng.normal(size=(37, size, 34 - size)).astype(dtype)
        b = rng.normal(size=(37, 34 - size, size // 2 + 1)).astype(dtype)
        factors.append((a, b))
        x = dl.Variable(a.swapaxes(1, 2) if transpose_a else a)
        y = dl.Variable(b.swapaxes(1, 2) if transpose_b else b)
        fetches.append(dl.matmul(x, y, transpose_a, transpose_b))
    for result, (a, b) in zip(evaluated(fetches), factors, strict=True):
        assert_is_product(result, a, b)


@both_dtypes
def test_vectors_as_matrices(dtype):
    rng = np.random.default_rng(0)
    a, column, row = (rng.normal(size=size).astype(dtype) for size in ((301, 1030), (1030, 1), (1, 301)))
    x, y, z = dl.Variable(a), dl.Variable(column), dl.Variable(row)
    results = evaluated(
        [
            x @ y,
            z @ x,
            y @ z,
            dl.matmul(x, z, transpose_a=True, transpose_b=True),
            dl.matmul(y, x, transpose_a=True, transpose_b=True),
            dl.transpose(x) @ dl.transpose(z),
            z @ dl.transpose(z),
        ]
    )
    for result, left, right in zip(
        results,
        (a, row, column, a.T, column.T, a.T, row),
        (column, a, row, row.T, a.T, row.T, row.T),
        strict=True,
    ):
        assert_is_product(result, left, right)


@both_dtypes
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_large_products_whose_parts_are_copied_closer(transpose_a, transpose_b, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(1031, 300)).astype(dtype), rng.normal(size=(300, 1029)).astype(dtype)
    wide_a, wide_b = np.full((1031, 1100), np.nan, dtype), np.full((300, 1200), np.nan, dtype)
    wide_a[:, 7:307], wide_b[:, 9:1038] = a, b
    x = dl.Variable(wide_a.T.copy())[7:307] if transpose_a else dl.Variable(wide_a)[:, 7:307]
    y = dl.Variable(wide_b.T.copy())[9:1038] if transpose_b else dl.Variable(wide_b)[:, 9:1038]
    assert_is_product(evaluated(dl.matmul(x, y, transpose_a, transpose_b)), a, b)


def test_a_stack_of_more_matrices_than_threads_can_count():
    a = np.random.default_rng(0).normal(size=(2**20 + 1, 1, 1))  # a thread's share of tasks has 20 bits
    x = dl.Variable(a)
    np.testing.assert_array_equal(evaluated(x @ x), a * a)


@both_dtypes
def test_sums_of_nothing_are_zero(dtype):
    shapes = [((3, 0), (0, 40)), ((100, 0), (0, 16)), ((2, 3, 0), (0, 33))]
    for result in evaluated(
        [dl.Variable(np.ones(a, dtype)) @ dl.Variable(np.ones(b, dtype)) for a, b in shapes]
    ):
        assert result.dtype == dtype
        assert not result.any()
        assert result.size


@both_dtypes
def test_nan_and_infinities_are_multiplied_and_summed_as_in_ieee_754(dtype):
    rng = np.random.default_rng(0)
    # Whole numbers this small make exact sums, in any order.
    a, b = rng.integers(-3, 4, (40, 300)).astype(dtype), rng.integers(-3, 4, (300, 45)).astype(dtype)
    a[2, 280], a[15, 7], a[39, 0], b[7, 44], b[299, 3], b[100, 20] = (
        np.nan,
        np.inf,
        -np.inf,
        -np.inf,
        np.nan,
        np.inf,
    )
    with np.errstate(invalid="ignore"):
        expected = np.matmul(a.astype("float64"), b.astype("float64"))
    assert 0 < np.isnan(expected).sum() < np.isnan(expected).size
    assert np.isinf(expected).any()
    np.testing.assert_array_equal(evaluated(dl.Variable(a) @ dl.Variable(b)), expected)
