"""Linear systems, order and einsum where the conformance suite does not look: errors, ties, large systems."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dltrain.autodiff import ops
from dltrain.autodiff.gradients import gradients
from dltrain.autodiff.graph import Graph, Tensor
from dltrain.autodiff.leaves import constant, placeholder
from dltrain.errors import GraphError
from dltrain.execution.session import Session


def run(tensor: Tensor, feeds: dict[Tensor, Any] | None = None) -> Any:
    return Session(tensor.graph).run(tensor, feeds)


def x_of(*shape: int | str, dtype: str = "float32") -> Tensor:
    return placeholder(dtype, shape, "x")


def einsum(equation: str, *shapes: tuple[int | str, ...]) -> Callable[[], Tensor]:
    return lambda: ops.einsum(equation, *(x_of(*shape) for shape in shapes))


BUILD_ERRORS: list[tuple[str, Callable[[], object], str]] = [
    ("cumsum", lambda: ops.cumsum(x_of(2, dtype="bool")), "there is no arithmetic on bool"),
    ("cumsum axis", lambda: ops.cumsum(x_of(2), 1), "axis 1 does not exist in a tensor of rank 1"),
    ("argsort", lambda: ops.argsort(x_of()), "axis -1 does not exist in a tensor of rank 0"),
    ("top_k", lambda: ops.top_k(x_of(3), 4), "there are no 4 greatest of 3 numbers"),
    ("top_k none", lambda: ops.top_k(x_of(3), 0), "there are no 0 greatest of 3 numbers"),
    ("top_k name", lambda: ops.top_k(x_of("n"), 2), "a part of the named dimension n has no known size"),
    (
        "along dtype",
        lambda: ops.take_along_axis(x_of(3), x_of(3)),
        "indices are int64, not float32",
    ),
    (
        "along shape",
        lambda: ops.take_along_axis(x_of(2, 3), np.zeros((3, 2), int)),
        "the indices have not x's shape, but for axis 1",
    ),
    (
        "along rank",
        lambda: ops.take_along_axis(x_of(3), np.zeros((), int)),
        "the indices have not x's shape, but for axis 0",
    ),
    ("tril", lambda: ops.tril(x_of(3)), "a matrix has two axes or more"),
    ("triu", lambda: ops.triu(x_of(3, "n")), "the dimension n has no known diagonal"),
    ("diag", lambda: ops.diag(x_of()), "a vector has an axis"),
    ("cholesky", lambda: ops.cholesky(x_of(2, 3)), "the last two axes are no square matrix"),
    ("cholesky int", lambda: ops.cholesky(x_of(2, 2, dtype="int64")), "int64 has no fractions"),
    ("solve", lambda: ops.solve(x_of(2, 2), x_of(3, 1)), "there are 2 equations and 3 right-hand sides"),
    (
        "solve vector",
        lambda: ops.solve(x_of(2, 2), x_of(2)),
        "a matrix has two axes or more; use expand_dims",
    ),
    ("solve stacks", lambda: ops.solve(x_of(2, 2, 2), x_of(3, 2, 1)), "shapes [2] and [3] do not broadcast"),
    ("einsum count", einsum("ij,jk", (2, 3)), "einsum 'ij,jk' is not for 1 tensors"),
    ("einsum rank", einsum("ij", (2,)), "'ij' does not name the axes of a tensor of rank 1"),
    ("einsum dots", einsum("...ij", (2,)), "'...ij' does not name the axes of a tensor of rank 1"),
    ("einsum letter", einsum("i1", (2, 3)), "an axis is a letter, in 'i1'"),
    ("einsum twice", einsum("ii", (2, 2)), "'ii' names an axis twice"),
    ("einsum result", einsum("ij->k", (2, 3)), "no tensor has the axis 'k' of the result"),
    ("einsum sizes", einsum("ij,jk", (2, 3), (4, 2)), "the axis 'j' has the sizes 3 and 4"),
    ("einsum names", einsum("ij,jk", (2, "n"), (4, 2)), "the axis 'j' has the sizes n and 4"),
    ("einsum equation", lambda: ops.einsum(x_of(2), "i"), "einsum: the equation is text, not Tensor("),  # type: ignore[arg-type]
    ("axis", lambda: ops.cumsum(x_of(2), axis=None), "an axis is a whole number, not None"),  # type: ignore[arg-type]
    ("axes", lambda: ops.argsort(x_of(2), axis=(0,)), "an axis is a whole number, not (0,)"),  # type: ignore[arg-type]
    ("k", lambda: ops.top_k(x_of(2), 1.5), "k is a whole number, not 1.5"),  # type: ignore[arg-type]
    ("diagonal", lambda: ops.tril(x_of(2, 2), "x"), "k is a whole number, not 'x'"),  # type: ignore[arg-type]
    ("none", lambda: ops.sort(None), "NoneType is neither a tensor nor an array of numbers"),  # type: ignore[arg-type]
    ("tensors", lambda: ops.sort([x_of(2)]), "where a value is needed"),
]


@pytest.mark.parametrize(
    ("build", "message"), [pair[1:] for pair in BUILD_ERRORS], ids=[pair[0] for pair in BUILD_ERRORS]
)
def test_mistakes_are_found_when_building(build: Callable[[], object], message: str) -> None:
    with Graph(), pytest.raises(GraphError, match=re.escape(message)) as caught:
        build()
    assert "\n" not in str(caught.value)


GOOD, SINGULAR = [[4.0, 1.0], [1.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]

RUN_ERRORS: list[tuple[str, Callable[[Tensor], Tensor], Any, str]] = [
    (
        "cholesky",
        ops.cholesky,
        [[1.0, 2.0], [2.0, 1.0]],
        "the matrix is not positive definite; add a small multiple of the identity",
    ),
    (
        "cholesky stack",
        ops.cholesky,
        [[GOOD, SINGULAR]],
        "matrix [0, 1] of the stack is not positive definite",
    ),
    ("solve", lambda a: ops.solve(a, np.eye(2)), SINGULAR, "the matrix is singular"),
    (
        "solve stack",
        lambda a: ops.solve(a, np.eye(2), transpose_a=True),
        [GOOD, SINGULAR],
        "matrix [1] of the stack is singular",
    ),
    (
        "triangular",
        lambda a: ops.solve_triangular(a, np.eye(2)),
        [GOOD, [[0.0, 1.0], [1.0, 1.0]]],
        "matrix [1] of the stack is singular: there is a 0 on its diagonal",
    ),
    (
        "along",
        lambda a: ops.take_along_axis(a, ops.cast(a, "int64")),
        [[0.0, 2.0], [1.0, 0.0]],
        "index 2 is out of range; allowed: 0 to 1",
    ),
]


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize(
    ("build", "value", "message"), [row[1:] for row in RUN_ERRORS], ids=[row[0] for row in RUN_ERRORS]
)
def test_mistakes_are_found_when_running(
    build: Callable[[Tensor], Tensor], value: Any, message: str, folded: bool
) -> None:
    """The error names op and place, also where the compiler has computed the node before the run."""
    array = np.array(value)
    with Graph():
        a = placeholder("float64", array.shape, "a")
        result = build(ops.add(array, 0) if folded else a)
        with pytest.raises(GraphError, match=re.escape(message)) as caught:
            run(result, {a: array})
    assert caught.value.what.startswith(f"{result.op.label}(")
    assert __file__ in str(caught.value.where)


# --- order ---


def test_what_ties_stays_in_order_and_nan_is_greatest() -> None:
    with Graph():
        x = [2.0, np.nan, 1.0, 2.0, -np.inf, 1.0, np.nan, np.inf]
        assert run(ops.argsort(x)).tolist() == [4, 2, 5, 0, 3, 7, 1, 6]
        assert run(ops.argsort(x, descending=True)).tolist() == [1, 6, 7, 0, 3, 2, 5, 4]
        values, positions = ops.top_k(x, 4)
        assert run(positions).tolist() == [1, 6, 7, 0]
        np.testing.assert_array_equal(run(values), [np.nan, np.nan, np.inf, 2])


def test_any_dtype_has_an_order() -> None:
    with Graph():
        assert run(ops.sort(np.array([3, 255, 0], "uint8"), descending=True)).tolist() == [255, 3, 0]
        assert run(ops.argsort(np.array([True, False, True]), descending=True)).tolist() == [0, 2, 1]
        least = np.iinfo("int64").min
        assert run(ops.sort(np.array([0, least, 1]), descending=True)).tolist() == [1, 0, least]


def test_an_index_that_repeats_adds_up_in_the_gradient() -> None:
    with Graph():
        x = placeholder("float64", (2, 3))
        taken = ops.take_along_axis(x, [[0, 0, 2, 0], [1, 1, 1, 1]])
        (gradient,) = gradients(taken, [x], upstream=constant([[1, 2, 3, 4], [5, 6, 7, 8]], "float64"))
        assert gradient is not None
        assert run(gradient, {x: np.zeros((2, 3))}).tolist() == [[7, 0, 3], [0, 26, 0]]


def test_the_median_has_a_gradient() -> None:
    with Graph():
        x = placeholder("float32", (5,))
        (gradient,) = gradients(ops.sort(x)[2], [x])
        assert gradient is not None
        assert run(gradient, {x: np.array([3, 9, 1, 5, 7], "f")}).tolist() == [0, 0, 0, 1, 0]


# --- linear systems ---


@pytest.mark.parametrize("size", [31, 33, 100])
@pytest.mark.parametrize("stack", [(), (2, 1)])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transpose_a", [False, True])
def test_large_triangles(size: int, stack: tuple[int, ...], lower: bool, transpose_a: bool) -> None:
    random = np.random.default_rng(0)
    a = random.normal(size=(*stack, size, size)) / size + np.eye(size)
    b = random.normal(size=(3, size, 2))
    triangle = np.tril(a) if lower else np.triu(a)
    with Graph():
        x = run(ops.solve_triangular(a, b, lower=lower, transpose_a=transpose_a))
    product = (triangle.swapaxes(-1, -2) if transpose_a else triangle) @ x
    np.testing.assert_allclose(product, np.broadcast_to(b, product.shape), rtol=0, atol=1e-13)


def test_a_triangle_is_solved_by_substitution_alone() -> None:
    """Exact where substitution is, although the condition is 1e16: no pivots, no elimination."""
    a = np.array([[1e-8, 0, 0], [1.0, 1e-8, 0], [0, 1, 1]])
    with Graph():
        x = run(ops.solve_triangular(a, [[1e-8], [1.0], [0.0]]))
        assert x.tolist() == [[1], [0], [0]]


def test_only_one_triangle_is_read() -> None:
    a, b = np.array([[2.0, np.nan], [1.0, 2.0]]), np.eye(2)
    with Graph():
        np.testing.assert_allclose(run(ops.cholesky(a)), [[2**0.5, 0], [0.5**0.5, 1.5**0.5]])
        np.testing.assert_allclose(run(ops.solve_triangular(a, b)), [[0.5, 0], [-0.25, 0.5]])
        np.testing.assert_allclose(
            run(ops.solve_triangular(a, b, transpose_a=True)), [[0.5, -0.25], [0, 0.5]]
        )


def test_the_log_determinant_has_the_inverse_as_its_gradient() -> None:
    random = np.random.default_rng(0)
    root = random.normal(size=(5, 5))
    value = root @ root.T + np.eye(5)
    with Graph():
        a = placeholder("float64", (5, 5))
        symmetric = (a + ops.transpose(a)) / 2
        log_determinant = 2 * ops.sum(ops.log(ops.diagonal(ops.cholesky(symmetric))))
        (gradient,) = gradients(log_determinant, [a])
        assert gradient is not None
        assert run(log_determinant, {a: value}) == pytest.approx(np.linalg.slogdet(value)[1], rel=1e-13)
        np.testing.assert_allclose(run(gradient, {a: value}), np.linalg.inv(value), rtol=1e-10)


# --- einsum ---


def test_einsum_multiplies_matrices_where_it_can() -> None:
    """A product of stacks is one product, in which the axes that are summed are merged."""
    with Graph() as graph:
        ops.einsum("abij,klab->ijkl", x_of(2, 3, 4, 5), x_of(6, 7, 2, 3))
        (product,) = [node for node in graph.nodes if node.op.label == "matmul"]
        assert [tensor.shape for tensor in product.inputs] == [(20, 6), (6, 42)]


def test_einsum_ignores_spaces() -> None:
    with Graph():
        assert run(ops.einsum(" i j , j -> i ", [[1.0, 2.0]], [3.0, 4.0])).tolist() == [11]


def test_the_floating_point_operations_of_a_system() -> None:
    """n^3 / 3, 2 n^3 / 3 + 2 n^2 m and n^2 m a matrix."""
    with Graph():
        a, b = x_of(5, 6, 6), x_of(5, 6, 2)
        counted = [
            (ops.cholesky(a), 5 * 6**3 // 3),
            (ops.solve(a, b), 5 * (2 * 6**3 // 3 + 2 * 6**2 * 2)),
            (ops.solve_triangular(a, b), 5 * 6**2 * 2),
        ]
        for tensor, count in counted:
            assert tensor.op.operations([given.spec for given in tensor.inputs], tensor.spec) == count
