"""Native kernels: what they compute, what they refuse, and the cache that they come from."""

import itertools
import math

import numpy as np
import pytest

import dltrain as dl
from dltrain.errors import GraphError


def native():
    return dl.Session(kernels="native")


@pytest.mark.parametrize("shape", [(3, 4, 5, 70), (7, 33, 3, 16)])
def test_reductions_over_all_choices_of_axes(shape):
    """In the second case of a view in which other axes lie together."""
    values = np.random.default_rng(0).normal(size=shape)
    x = dl.placeholder("float64", shape)
    tensor = x if shape[0] == 3 else dl.transpose(x, (2, 3, 1, 0))[:, ::2]
    array = values if shape[0] == 3 else values.transpose(2, 3, 1, 0)[:, ::2]
    choices = [axes for count in range(5) for axes in itertools.combinations(range(4), count)]
    fetches = [[dl.sum(tensor, axes), dl.mean(tensor, axes), dl.min(tensor, axes)] for axes in choices]
    for axes, results in zip(choices, native().run(fetches, {x: values}), strict=True):
        for result, reduce in zip(results, (np.sum, np.mean, np.min), strict=True):
            np.testing.assert_allclose(result, reduce(array, axis=axes), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("width", [2, 15, 17, 600])
def test_reductions_of_many_rows_and_of_integers(width):
    values = np.random.default_rng(0).normal(size=(70, width, 3)) * 100
    x = dl.placeholder("float64", values.shape)
    for dtype in ("float64", "int64"):
        array = values.astype(dtype)
        rows = dl.cast(x, dtype)[:, :, 0]
        total, greatest, least = native().run(
            [dl.sum(rows, 1), dl.max(rows, 1, keepdims=True), dl.min(rows * 2, 1)], {x: values}
        )
        np.testing.assert_allclose(total, array[:, :, 0].sum(axis=1), rtol=1e-12, atol=1e-10)
        np.testing.assert_array_equal(greatest, array[:, :, 0].max(axis=1, keepdims=True))
        np.testing.assert_array_equal(least, 2 * array[:, :, 0].min(axis=1))


def test_a_reduction_ends_the_group_that_makes_what_it_reduces():
    """One call, also where others read of the group, and where the result has the shape of an input."""
    rng = np.random.default_rng(0)
    values, shift = rng.normal(size=(40, 40)), rng.normal(size=40)
    x, y = dl.placeholder("float64", (40, 40)), dl.placeholder("float64", (40,))
    for axis in (0, 1, None):
        moved = x * x + y
        function = native().make_callable([dl.sum(dl.exp(-moved), axis), moved], [x, y])
        total, seen = function(values, shift)
        np.testing.assert_allclose(seen, values**2 + shift, rtol=1e-14)
        np.testing.assert_allclose(total, np.exp(-(values**2) - shift).sum(axis), rtol=1e-13)
        (call,) = function.bind().plan.compute
        assert [node.op.label for node in call.nodes] == ["multiply", "add", "negative", "exp", "sum"]


@pytest.mark.parametrize("shape", [(50, 7, 33), (9, 200), (300, 10)])
def test_argmax_of_ties_and_nan(shape):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 6, size=shape).astype("float64")
    values[rng.random(shape) < 0.02] = np.nan
    x = dl.placeholder("float64", shape)
    axes = range(len(shape))
    fetches = [(dl.argmax(x, axis, keepdims=True), dl.argmax(dl.transpose(x), axis)) for axis in axes]
    for axis, (kept, turned) in zip(axes, native().run(fetches, {x: values}), strict=True):
        np.testing.assert_array_equal(kept, values.argmax(axis, keepdims=True))
        np.testing.assert_array_equal(turned, values.T.argmax(axis))


def test_greatest_and_least_of_nan_and_infinities():
    rows = list(itertools.product([np.nan, np.inf, -np.inf, 1.0], repeat=3))
    x = dl.placeholder("float32", (len(rows), 3))
    values = np.array(rows, "float32")
    for result, reduce in zip(
        native().run([dl.max(x, 1), dl.min(x, 1), dl.max(x, 0), dl.min(x, 0)], {x: values}),
        (np.max, np.min, np.max, np.min),
        strict=True,
    ):
        np.testing.assert_array_equal(result, reduce(values, axis=1 if result.size > 3 else 0))


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((2**22,), 0), ((2**20, 3), 0), ((300, 4099), 0), ((5, 2**16, 9), 1), ((2**15, 5, 31), (0, 2))],
)
def test_long_sums_are_as_exact_as_short_ones(shape, axes, equal):
    """Beside the exact sum, by so many roundings of half a unit of the sum of magnitudes."""
    values = np.full(shape, 0.1) if equal else np.random.default_rng(0).normal(size=shape)
    for dtype in ("float32", "float64"):
        x = dl.Variable(values, dtype=dtype)
        total, mean = native().run([dl.sum(x, axes), dl.mean(x, axes)])
        kept = np.moveaxis(values.astype(dtype), axes, range(np.size(axes)))
        count = values.size // np.size(total)
        columns = kept.reshape(count, -1).T[:40]
        exact = np.array([math.fsum(column) for column in columns])
        roundings = 256 + (count // 256 if dtype == "float64" else 0)  # blocks are added up in float64
        bound = roundings * np.finfo(dtype).eps / 2 * np.abs(columns).sum(axis=1, dtype="float64")
        assert (np.abs(np.ravel(total)[:40] - exact) <= bound).all()
        assert (np.abs(np.ravel(mean)[:40] - exact / count) <= bound / count).all()


def test_broadcasts_and_views_of_all_kinds():
    rng = np.random.default_rng(0)
    x, row, column = rng.normal(size=(6, 50)), rng.normal(size=50), rng.normal(size=(6, 1))
    a, b, c = (
        dl.placeholder("float64", ("n", 50)),
        dl.placeholder("float64", (50,)),
        dl.placeholder("float64", ("n", 1)),
    )
    result = dl.transpose(a * b + c)[3:7] * 2.0 + dl.transpose(c)
    expected = (x * row + column).T[3:7] * 2 + column.T
    np.testing.assert_allclose(native().run(result, {a: x, b: row, c: column}), expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("inner", [0, 1, 255, 256, 700])
def test_products_with_few_columns(inner, dtype):
    rng = np.random.default_rng(0)
    for rows, columns in ((1, 1), (7, 16), (8, 10), (19, 3), (16, 17)):
        a, b = rng.normal(size=(rows, inner)).astype(dtype), rng.normal(size=(inner, columns)).astype(dtype)
        x, y = dl.placeholder(dtype, ("n", "k")), dl.placeholder(dtype, ("k", "m"))
        at, bt = dl.placeholder(dtype, ("k", "n")), dl.placeholder(dtype, ("m", "k"))
        fetches = [x @ y, dl.matmul(at, bt, transpose_a=True, transpose_b=True), dl.transpose(at) @ y + 1.0]
        for result, added in zip(
            native().run(fetches, {x: a, y: b, at: a.T, bt: b.T}), (0, 0, 1), strict=True
        ):
            np.testing.assert_allclose(
                result, a @ b + added, rtol=0, atol=1e-4 if dtype == "float32" else 1e-12
            )


def test_nan_and_infinities_go_where_numpy_puts_them():
    x = dl.placeholder("float32", (5,))
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 1e30], "float32")
    fetches = [
        f(x) for f in (dl.relu, dl.abs, dl.sign, dl.exp, dl.sigmoid, dl.tanh, dl.softplus, dl.is_finite)
    ]
    fetches += [dl.maximum(x, 0.0), dl.minimum(0.0, x), dl.max(x), dl.sum(x), x > 0.0, dl.not_equal(x, x)]
    for fetch, got, expected in zip(
        fetches, native().run(fetches, {x: values}), dl.Session().run(fetches, {x: values}), strict=True
    ):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected), err_msg=fetch.name)
        np.testing.assert_allclose(got, expected, rtol=1e-6, err_msg=fetch.name)


def test_a_label_out_of_range_is_refused_by_name():
    logits, labels = dl.placeholder("float32", ("batch", 3)), dl.placeholder("int64", ("batch",), "labels")
    loss = dl.mean(dl.softmax_cross_entropy(logits, labels))
    w = dl.Variable(1.0)
    session = native()
    with pytest.raises(GraphError, match=r"softmax_cross_entropy\(.*label 3 is out of range"):
        session.run([loss, w.assign(w + 1.0)], {logits: np.zeros((2, 3)), labels: [0, 3]})
    assert session.value(w) == 1


def test_an_op_without_a_c_expression_runs_beside_the_others():
    class Cube(dl.Elementwise, abstract=True):
        """x^3."""

        def compute(self, x, *, out):
            np.power(x, 3, out=out)

    x = dl.placeholder("float64", (4,))
    result = dl.exp(Cube()(x + 1.0)) * 2.0
    values = np.linspace(-1, 1, 4)
    np.testing.assert_allclose(native().run(result, {x: values}), 2 * np.exp((values + 1) ** 3), rtol=1e-14)


def test_updates_in_place_over_many_sizes():
    for size in (1, 15, 16, 17, 100_003):
        with dl.Graph():
            w = dl.Variable(np.arange(size, dtype="float64"))
            m = dl.Variable(np.ones(size), trainable=False)
            new_m = 0.5 * m + w
            session = native()
            session.run([w.assign(w - 0.1 * new_m), m.assign(new_m)])
            expected = 0.5 + np.arange(size)
            np.testing.assert_allclose(session.value(m), expected, rtol=1e-15)
            np.testing.assert_allclose(session.value(w), np.arange(size) - 0.1 * expected, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 12, 13, 4091, 4092, 4093, 4097, 10_000])
def test_dropout_draws_the_bits_of_numpy(dtype, size):
    """Sizes around the ends of a block (12), of a task (4092), and of several."""
    x = dl.placeholder(dtype, ("n",))
    kept = dl.dropout(x, 0.3, seed=2**64 - 5)
    step = x.graph.step
    for number in (0, 7, 2**40):
        feeds = {x: np.ones(size), step: number}
        assert native().run(kept, feeds).tobytes() == dl.Session(kernels="numpy").run(kept, feeds).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 9, 1023, 1024, 1025, 2049, 10_000])
def test_uniform_numbers_have_the_bits_of_numpy(dtype, size):
    numbers = [dl.random_uniform((size,), low, low + 3.7, dtype, seed=2**64 - 5) for low in (-0.3, 1e6, 1e8)]
    for number in (0, 7, 2**40):
        feeds = {numbers[0].graph.step: number}
        plain = dl.Session(kernels="numpy").run(numbers, feeds)
        for native_, expected in zip(native().run(numbers, feeds), plain, strict=True):
            assert native_.tobytes() == expected.tobytes()


@pytest.mark.parametrize("reduce", [dl.sum, dl.mean, dl.max, dl.min])
def test_reductions_of_a_single_number(reduce):
    with dl.Graph():
        x = dl.placeholder("float32", ("batch", "width"), "x")
        session = dl.Session(kernels="native")
        assert session.run(reduce(x), {x: [[2.5]]}) == 2.5
        assert session.run(reduce(x * 2.0, axis=0), {x: [[2.5]]}).tolist() == [5.0]
