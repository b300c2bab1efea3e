"""Ops on whole arrays where the conformance suite does not look: errors, conventions, extreme values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dltrain.autodiff import ops
from dltrain.autodiff.gradients import gradients
from dltrain.autodiff.graph import Graph, Tensor, Variable
from dltrain.autodiff.leaves import constant, placeholder
from dltrain.autodiff.ops.reduce import Mean, Sum
from dltrain.errors import GraphError
from dltrain.execution.checking import check_gradients
from dltrain.execution.session import Session


def run(tensor: Tensor, feeds: dict[Tensor, Any] | None = None) -> Any:
    return Session(tensor.graph).run(tensor, feeds)


def x_of(*shape: int | str, dtype: str = "float32") -> Tensor:
    return placeholder(dtype, shape, "x")


BUILD_ERRORS: list[tuple[str, Callable[[], Tensor], str]] = [
    ("matmul inner", lambda: x_of(2, 3) @ x_of(2, 3), "the inner dimensions 3 and 2 differ"),
    ("matmul names", lambda: x_of(2, "width") @ x_of(3, 2), "the inner dimensions width and 3 differ"),
    ("matmul vector", lambda: x_of(2, 3) @ x_of(3), "a matrix has two axes or more; use expand_dims"),
    ("matmul batch", lambda: x_of(2, 2, 3) @ x_of(3, 3, 2), "shapes [2] and [3] do not broadcast"),
    ("sum axis", lambda: ops.sum(x_of(2, 3), 2), "axis 2 does not exist in a tensor of rank 2"),
    ("sum twice", lambda: ops.sum(x_of(2, 3), (1, -1)), "name one axis twice"),
    ("argmax axis", lambda: ops.argmax(x_of()), "axis -1 does not exist in a tensor of rank 0"),
    ("reshape", lambda: ops.reshape(x_of(2, 3), (4,)), "cannot reshape [2, 3] to [4]"),
    ("reshape -1", lambda: ops.reshape(x_of(2, 3), (4, -1)), "cannot reshape [2, 3] to [4, -1]"),
    ("reshape two", lambda: ops.reshape(x_of(2, 3), (-1, -1)), "not a dimension: -1"),
    ("reshape empty", lambda: ops.reshape(x_of(0, 3), (0, -1)), "cannot reshape [0, 3] to [0, -1]"),
    (
        "reshape loses",
        lambda: ops.reshape(x_of("batch", 2), (4, 2)),
        "cannot reshape [batch, 2] to [4, 2]: they do not hold equally many numbers; "
        "the named dimensions must be kept",
    ),
    ("reshape odd", lambda: ops.reshape(x_of("batch", 3), (-1, 2)), "cannot reshape [batch, 3] to [-1, 2]"),
    ("add product", lambda: ops.reshape(x_of("b", 2), (-1,)) + x_of("b"), "[b*2] and [b] do not broadcast"),
    ("transpose", lambda: ops.transpose(x_of(2, 3), (0, 0)), "name one axis twice"),
    ("transpose few", lambda: ops.transpose(x_of(2, 3), (0,)), "1 axes are listed for a tensor of rank 2"),
    ("expand_dims", lambda: ops.expand_dims(x_of(2), 3), "axis 3 does not exist"),
    ("squeeze", lambda: ops.squeeze(x_of(1, 3), 1), "axis 1 has size 3, and only axes of size 1"),
    ("squeeze name", lambda: ops.squeeze(x_of("batch"), 0), "axis 0 has size batch"),
    ("broadcast_to", lambda: ops.broadcast_to(x_of(3), (2, 4)), "do not broadcast"),
    ("broadcast_to less", lambda: ops.broadcast_to(x_of(2, 3), (3,)), "does not broadcast to [3]"),
    ("index", lambda: x_of(2, 3)[2], "index 2 is outside of a dimension of size 2"),
    ("indices", lambda: x_of(2)[0, 0], "more indices than the 1 axes there are"),
    ("index name", lambda: x_of("batch", 2)[1:], "a part of the named dimension batch has no known size"),
    ("index step", lambda: x_of(4)[::-1], "a slice cannot have the step -1; give a positive step"),
    ("index float", lambda: x_of(4)[1.5], "not an index: 1.5"),
    ("index array", lambda: x_of(4)[[0, 1]], "a tensor or an array is no index; use gather()"),
    ("concat", lambda: ops.concat([x_of(2, 3), x_of(3, 3)], 1), "shapes differ in another axis than 1"),
    ("concat none", lambda: ops.concat([]), "concat() was given no tensors"),
    ("concat name", lambda: ops.concat([x_of("n"), x_of("n")]), "the named dimension n cannot be joined"),
    ("pack name", lambda: ops.pack([x_of("n")]), "a named dimension of float32[n] has no size yet"),
    ("pack none", lambda: ops.pack([]), "pack() was given no tensors"),
    ("pack dtypes", lambda: ops.pack([x_of(2), x_of(2, dtype="float64")]), "dtypes float32 and float64"),
    ("gather", lambda: ops.gather(x_of(2), x_of(2)), "indices are int64, not float32"),
    ("one_hot", lambda: ops.one_hot(x_of(2), 3), "indices are int64, not float32"),
    ("softmax", lambda: ops.softmax(x_of(2, dtype="int64")), "int64 has no fractions"),
    (
        "cross entropy labels",
        lambda: ops.softmax_cross_entropy(x_of("batch", 3), np.array([1, 2])),
        "integer labels have the shape of the logits without their last axis",
    ),
    (
        "cross entropy distribution",
        lambda: ops.softmax_cross_entropy(x_of("batch", 3), np.ones(3)),
        "labels float32[3] are no distribution over the classes of logits float32[batch, 3]",
    ),
    (
        "cross entropy classes",
        lambda: ops.softmax_cross_entropy(x_of(3, "classes"), np.zeros(3, int)),
        "the number of classes",
    ),
    ("uniform", lambda: ops.random_uniform((2,), 1.0, 1.0), "low 1.0 is not below high 1.0"),
    ("normal", lambda: ops.random_normal((2,), stddev=-1.0), "the standard deviation -1.0 is not"),
    ("truncated", lambda: ops.truncated_normal((2,), stddev=np.inf), "the standard deviation inf is not"),
    ("random dtype", lambda: ops.random_normal((2,), dtype="int64"), "random numbers are float32 or float64"),
    ("random step", lambda: ops.random_normal((2,), step=x_of(2)), "the step is float32[2], not one int64"),
    ("random seed", lambda: ops.random_normal((2,), seed=-1), "the seed -1 is not in 0..2^64-1"),
    ("dropout", lambda: ops.dropout(x_of(2), 1.0), "the dropout rate 1.0 is not in [0, 1)"),
    ("dropout nan", lambda: ops.dropout(x_of(2), float("nan")), "the dropout rate nan is not in [0, 1)"),
]


@pytest.mark.parametrize(
    ("build", "message"), [pair[1:] for pair in BUILD_ERRORS], ids=[pair[0] for pair in BUILD_ERRORS]
)
def test_mistakes_are_found_when_building(build: Callable[[], Tensor], message: str) -> None:
    with Graph(), pytest.raises(GraphError, match=re.escape(message)) as caught:
        build()
    assert "\n" not in str(caught.value)


RUN_ERRORS: list[tuple[str, Callable[[Tensor], Tensor], Any, str]] = [
    ("gather", lambda i: ops.gather(np.ones(3), i), [0, 3, 1], "index 3 is out of range.*; allowed: 0 to 2"),
    ("gather negative", lambda i: ops.gather(np.ones(3), i), [0, -1], "index -1 is out of range"),
    (
        "gather empty",
        lambda i: ops.gather(np.ones(0), i),
        [0],
        "index 0 is out of range.*none, the dimension is",
    ),
    ("scatter_add", lambda i: ops.scatter_add(np.ones(2), i, 3), [0, 7], "index 7 is out of range"),
    ("one_hot", lambda i: ops.one_hot(i, 10), [9, 10], "index 10 is out of range.*; allowed: 0 to 9"),
    (
        "labels",
        lambda i: ops.softmax_cross_entropy(np.ones((2, 10)), i),
        [9, 10],
        "label 10 is out of range.*; allowed: 0 to 9",
    ),
    ("max", lambda i: ops.max(ops.cast(i, "float32")), [], "an empty axis has no max"),
    ("argmax", lambda i: ops.argmax(i), [], "an empty axis has no argmax"),
]


@pytest.mark.parametrize(
    ("build", "fed", "message"), [row[1:] for row in RUN_ERRORS], ids=[row[0] for row in RUN_ERRORS]
)
def test_mistakes_are_found_when_running(build: Callable[[Tensor], Tensor], fed: Any, message: str) -> None:
    with Graph():
        indices = placeholder("int64", (len(fed),), "indices")
        result = build(indices)
        with pytest.raises(GraphError, match=message):
            run(result, {indices: np.array(fed, np.int64)})


def test_reshape_keeps_names() -> None:
    with Graph():
        x = x_of("batch", 28, 28)
        assert ops.reshape(x, ("batch", -1)).shape == ("batch", 784)
        assert ops.reshape(x, (-1, 784)).shape == ("batch", 784)
        assert ops.reshape(x, (-1, 4, 196)).shape == ("batch", 4, 196)
        assert ops.reshape(x_of("batch", "batch"), ("batch", -1)).shape == ("batch", "batch")


def test_indexing_as_numpy() -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    keys: list[Any] = [
        0,
        (1, -1),
        (slice(None), 1),
        (..., 0),
        (None, 0, ..., None),
        (slice(0, 5), slice(-2, None), slice(None, None, 3)),
        (slice(1, 1),),
        (0, 0, 0),
        np.int64(1),
    ]
    with Graph():
        x = constant(array, "float64")
        for key in keys:
            assert ops.slice(x, key).shape == array[key].shape
            np.testing.assert_array_equal(run(x[key]), array[key])


def test_an_index_is_out_of_range_only_when_the_name_is_bound() -> None:
    with Graph():
        x = x_of("batch", 2)
        assert run(x[2], {x: np.eye(3, 2)}).tolist() == [0, 0]
        with pytest.raises(GraphError, match="index 2 is out of bounds for axis 0 with size 2"):
            run(x[2], {x: np.eye(2, 2)})


def test_ties_share_the_gradient() -> None:
    with Graph():
        x = constant([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], "float64")
        (of_max,) = gradients(ops.max(x, 1), [x])
        (of_min,) = gradients(ops.min(x, 1), [x])
        assert of_max is not None
        assert of_min is not None
        np.testing.assert_allclose(run(of_max), [[0, 0.5, 0.5], [1 / 3] * 3])
        np.testing.assert_allclose(run(of_min), [[1, 0, 0], [1 / 3] * 3])


def test_argmax_takes_the_first_of_those_that_tie() -> None:
    with Graph():
        assert run(ops.argmax(constant([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]))).tolist() == [1, 0]


def test_logsumexp_is_stable() -> None:
    with Graph():
        x = constant([[1e8, -1e8], [-np.inf, -np.inf], [-np.inf, 1.0], [np.inf, 1.0]], "float64")
        assert run(ops.logsumexp(x, 1)).tolist() == [1e8, -np.inf, 1.0, np.inf]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_is_stable(dtype: str) -> None:
    with Graph():
        x = constant([[1e8, -1e8, 0.0], [-np.inf, 0.0, 0.0]], dtype)
        assert run(ops.softmax(x)).tolist() == [[1, 0, 0], [0, 0.5, 0.5]]
        log_p = run(ops.log_softmax(x))
        np.testing.assert_allclose(log_p, [[0, -2e8, -1e8], [-np.inf, -np.log(2), -np.log(2)]], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_log_of_a_softmax_is_stable_whoever_else_uses_the_softmax(dtype: str) -> None:
    """-log(p)[1] + 0.1 (p, p) of logits 1100 and 0, where p underflows to (1, 0): gradient (1, -1)."""
    with Graph():
        x = placeholder(dtype, (1, 2))
        p = ops.softmax(x)
        loss = -ops.log(p)[0, 1] + 0.1 * ops.sum(ops.square(p))
        (first,) = gradients(loss, [x])
        assert first is not None
        (second,) = gradients(ops.sum(first * constant([[1.0, 0.0]], dtype)), [x])
        assert second is not None
        fed = {x: [[1100.0, 0.0]]}
        values = Session().run([ops.log(p), p, loss, first, second], fed)
        plain = Session(passes=frozenset()).run([first, second], fed)
    expected = [[[0, -1100]], [[1, 0]], 1100.1, [[1, -1]], [[0, 0]]]
    for value, known in zip([*values, *plain], [*expected, *expected[3:]], strict=True):
        np.testing.assert_allclose(value, known, rtol=1e-6)


def test_the_log_of_a_softmax_of_constants_is_stable() -> None:
    with Graph():
        np.testing.assert_array_equal(run(ops.log(ops.softmax([[1100.0, 0.0]]))), [[0, -1100]])


def test_the_log_of_a_softmax_has_the_derivatives_of_its_formula() -> None:
    """Along axis 0, beside other consumers of the softmax: against differences, and (1 - n p) by hand."""
    with Graph():
        x = placeholder("float64", (3, 2))
        values = np.random.default_rng(2).standard_normal((3, 2))
        p = ops.softmax(x, axis=0)
        check_gradients(ops.log(p) * p + ops.sqrt(p), [x], {x: values})
        (gradient,) = gradients(ops.log(p), [x])
        assert gradient is not None
        probabilities = np.exp(values) / np.exp(values).sum(0)
        np.testing.assert_allclose(run(gradient, {x: values}), 1 - 3 * probabilities, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_cross_entropy_is_stable(dtype: str) -> None:
    logits = [[1e8, -1e8, 0.0], [-1e8, 1e8, 0.0], [-np.inf, 0.0, 0.0]]
    with Graph():
        x = constant(logits, dtype)
        distribution = constant([[0, 1, 0], [0, 1, 0], [0, 0.5, 0.5]], dtype)
        for labels, last in ((constant([1, 1, 2]), np.log(2)), (distribution, np.log(2))):
            loss = ops.softmax_cross_entropy(x, labels)
            np.testing.assert_allclose(run(loss), [2e8, 0, last], rtol=1e-6)
            (gradient,) = gradients(loss, [x])
            assert gradient is not None
            expected = [[1, -1, 0], [0, 0, 0], [0, 0.5, -0.5] if labels is not distribution else [0, 0, 0]]
            np.testing.assert_allclose(run(gradient), expected, atol=1e-6)


def test_integer_labels_and_their_one_hot_distribution_agree() -> None:
    random = np.random.default_rng(5)
    with Graph():
        x = constant(random.standard_normal((6, 4)), "float64")
        labels = constant(random.integers(0, 4, 6))
        losses = [
            ops.softmax_cross_entropy(x, labels),
            ops.softmax_cross_entropy(x, ops.one_hot(labels, 4, "float64")),
        ]
        np.testing.assert_allclose(run(losses[0]), run(losses[1]), rtol=1e-13)
        found = [run(gradients(loss, [x])[0]) for loss in losses]  # type: ignore[arg-type]
        np.testing.assert_allclose(found[0], found[1], atol=1e-15)


def test_the_sum_of_an_empty_axis_is_zero_and_its_mean_nan() -> None:
    with Graph():
        x = constant(np.zeros((0, 2)), "float32")
        assert run(ops.sum(x, 0)).tolist() == [0, 0]
        assert np.isnan(run(ops.mean(x, 0))).all()
        assert run(ops.mean(x, 1)).shape == (0,)


def test_the_mean_of_2_to_the_25_ones_is_one() -> None:
    """One by one, the sum in float32 would stop at 2^24."""
    with Graph():
        x = placeholder("float32", ("rows", 2))
        assert run(ops.mean(x, 0), {x: np.ones((2**25, 2), "float32")}).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("array", "axes"),
    [
        (np.full((2**20, 2), 0.1, "f"), (0,)),
        (np.full(2**20, 0.1, "f"), (0,)),
        (np.full((2**20, 2), 0.1, "f").T, (1,)),
        (np.full((2**10, 2**10, 3), 0.1, "f"), (0, 1)),
        (np.full((3, 2**20, 2), 0.1, "f"), (0, 1)),
        (np.full((3, 2**20, 2), 0.1, "f"), (1,)),
        (np.full((2**19, 3, 2), 0.1, "f"), (0, 2)),
        (np.full((2**20, 4), 0.1, "f")[:, 1:], (0, 1)),
        (np.full((2**10, 2**10), 0.1, "f"), (0, 1)),
    ],
)
@pytest.mark.parametrize("keepdims", [True, False])
def test_long_sums_lose_nothing(array: Any, axes: tuple[int, ...], keepdims: bool) -> None:
    """2^20 times 0.1, along whatever axes, however they lie in memory: one by one they would be 1 % off."""
    for reduction, expected in ((Sum, np.sum), (Mean, np.mean)):
        exact = np.asarray(expected(array.astype("d"), axis=axes, keepdims=keepdims))  # type: ignore[operator]
        out = np.empty(exact.shape, "float32")
        reduction(axes, keepdims).compute(array, out=out)
        np.testing.assert_allclose(out, exact, rtol=2e-5)


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 4096, 3 * 1024 + 5, 70_001])
def test_long_sums_are_within_a_few_roundings(count: int) -> None:
    numbers = np.random.default_rng(count).uniform(1, 2, (count, 3)).astype("float32")
    exact = [math.fsum(column) for column in numbers.T.tolist()]
    with Graph():
        x = placeholder("float32", ("rows", 3))
        total, mean = Session().run([ops.sum(x, 0), ops.mean(x, 0)], {x: numbers})
    np.testing.assert_allclose(total, exact, rtol=2e-6)
    np.testing.assert_allclose(mean, np.array(exact) / count, rtol=2e-6)


def test_the_mean_over_a_named_dimension_counts_what_is_fed() -> None:
    with Graph():
        x = x_of("batch", 2)
        (gradient,) = gradients(ops.mean(x), [x])
        assert gradient is not None
        for batch in (1, 4):
            assert run(gradient, {x: np.ones((batch, 2))}).tolist() == [[1 / (2 * batch)] * 2] * batch


def test_a_gathered_index_that_repeats_adds_up() -> None:
    with Graph():
        x = constant([1.0, 2.0, 3.0], "float64")
        (gradient,) = gradients(ops.gather(x, [2, 0, 2, 2]), [x])
        assert gradient is not None
        assert run(gradient).tolist() == [1, 0, 3]


def test_pack_is_one_vector() -> None:
    with Graph():
        parts = [constant([[1.0, 2.0], [3.0, 4.0]]), constant(5.0), constant(np.zeros((0, 3)), "float32")]
        vector = ops.pack(parts)
        assert vector.shape == (5,)
        assert run(vector).tolist() == [1, 2, 3, 4, 5]


def test_the_log_of_a_softmax_depends_on_the_softmax() -> None:
    """It may be fed, and differentiated in: 1 / p, and 1 / p + 2 p where p is squared too."""
    with Graph() as graph:
        p = ops.softmax(Variable(np.zeros(2)))
        log_p = ops.log(p)
        (plain,) = gradients(ops.sum(log_p), [p])
        (both,) = gradients(ops.sum(log_p) + ops.sum(ops.square(p)), [p])
    fed = {p: np.array([0.25, 0.75])}
    values = Session(graph).run([log_p, plain, both], fed)
    expected = [np.log([0.25, 0.75]), [4, 4 / 3], [4.5, 4 / 3 + 1.5]]
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-12)
