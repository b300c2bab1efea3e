"""Products with derivatives, against matrices known in closed form and against central differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import dltrain as dl
from dltrain.autodiff.spec import Array
from dltrain.errors import GraphError, NotDifferentiableError


@pytest.fixture(autouse=True)
def graph() -> Iterator[dl.Graph]:
    with dl.Graph() as graph:
        yield graph


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def slope(function: Callable[[float], Array], step: float = 1e-3) -> Array:
    """The derivative at 0, by the five-point stencil (Abramowitz and Stegun 1964, equation 25.3.6)."""
    values = [function(factor * step) for factor in (-2, -1, 1, 2)]
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


def test_j_of_a_linear_map_is_its_matrix(random: np.random.Generator) -> None:
    matrix, v, u = (random.normal(size=shape) for shape in ((2, 3), (3, 1), (2, 1)))
    x = dl.placeholder("float64", (3, 1))
    y = dl.constant(matrix) @ x
    products = [*dl.jvp([y], [x], [dl.constant(v)]), *dl.vjp([y], [x], [dl.constant(u)])]
    forward, reverse = dl.Session().run(products)  # what is linear needs no value of x
    np.testing.assert_allclose(forward, matrix @ v, rtol=1e-15)
    np.testing.assert_allclose(reverse, matrix.T @ u, rtol=1e-15)


def test_j_of_several_outputs_in_several_inputs() -> None:
    """y = a b and z = sin(b); dy = b da + a db, dz = cos(b) db."""
    a, b, da, db = (dl.placeholder("float64", ("batch",), name) for name in ("a", "b", "da", "db"))
    dy, dz, dw = dl.jvp([a * b, dl.sin(b), dl.exp(da)], [a, b], [da, db])
    values = {a: [2.0, -1.0], b: [0.5, 3.0], da: [0.1, 0.2], db: [-0.3, 0.4]}
    found = dl.Session().run([dy, dz, dw], values)
    a_, b_, da_, db_ = map(np.array, values.values())
    np.testing.assert_allclose(found, [b_ * da_ + a_ * db_, np.cos(b_) * db_, [0, 0]], rtol=1e-15)


FUNCTIONS: dict[str, Callable[[dl.Tensor], dl.Tensor]] = {
    "network": lambda x: dl.log_softmax(dl.tanh(x @ dl.transpose(x)) @ x),
    "reductions": lambda x: dl.max(x, 0) * dl.logsumexp(x, 1, keepdims=True) + dl.mean(x * x),
    "parts": lambda x: dl.concat([x[:, 1:], dl.cumsum(x * x, 0)], 1),
    "order": lambda x: dl.sort(x, 0) * dl.top_k(x * x, 2)[0][:, :1],
    "system": lambda x: dl.solve(x @ dl.transpose(x) + np.eye(4), x),
    "cholesky": lambda x: dl.cholesky(x @ dl.transpose(x) + np.eye(4)),
    "powers": lambda x: dl.sqrt(1 + x**2) / (2 + dl.sigmoid(x)),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=list(FUNCTIONS))
def test_j_against_differences(
    function: Callable[[dl.Tensor], dl.Tensor], random: np.random.Generator
) -> None:
    x, v = dl.placeholder("float64", (4, 3)), dl.placeholder("float64", (4, 3))
    at, along = random.normal(size=(2, 4, 3))
    y = function(x)
    with dl.Session() as session:
        (found,) = session.run(dl.jvp([y], [x], [v]), {x: at, v: along})
        expected = slope(lambda step: np.asarray(session.run(y, {x: at + step * along})))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=list(FUNCTIONS))
def test_h_against_differences_of_the_gradient(
    function: Callable[[dl.Tensor], dl.Tensor], random: np.random.Generator
) -> None:
    x, v = dl.placeholder("float64", (4, 3)), dl.placeholder("float64", (4, 3))
    at, along = random.normal(size=(2, 4, 3))
    loss = dl.sum(dl.square(function(x)))
    (gradient,) = dl.gradients(loss, [x])
    assert gradient is not None
    with dl.Session() as session:
        (found,) = session.run(dl.hessian_vector_product(loss, [x], [v]), {x: at, v: along})
        expected = slope(lambda step: np.asarray(session.run(gradient, {x: at + step * along})))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def test_h_of_several_tensors() -> None:
    """The loss a^2 b + c has the Hessian [[2 b, 2 a], [2 a, 0]] in (a, b), and 0 in c."""
    a, b, c = (dl.placeholder("float64", (), name) for name in "abc")
    loss = a * a * b + c
    vectors = [dl.constant(number, "float64") for number in (0.1, 0.2, 0.3)]
    products = dl.hessian_vector_product(loss, [a, b, c], vectors)
    assert dl.Session().run(products, {a: 3.0, b: 5.0}) == pytest.approx(
        [10 * 0.1 + 6 * 0.2, 6 * 0.1, 0], rel=1e-15
    )


def test_a_vector_may_depend_on_what_is_differentiated() -> None:
    """x^4 along its own gradient: H g = 12 x^2 4 x^3, whose derivative is that of 48 x^5."""
    x = dl.placeholder("float64", ())
    loss = x * x * x * x
    (gradient,) = dl.gradients(loss, [x])
    assert gradient is not None
    (product,) = dl.hessian_vector_product(loss, [x], [gradient])
    (forward,) = dl.jvp([gradient], [x], [gradient])
    derivatives = [*dl.gradients(product, [x]), *dl.gradients(forward, [x])]
    found = dl.Session().run([product, forward, *derivatives], {x: 1.5})
    np.testing.assert_allclose(found, [48 * 1.5**5] * 2 + [240 * 1.5**4] * 2, rtol=1e-14)


def test_g_of_least_squares(random: np.random.Generator) -> None:
    """Half the squared residuals of y = exp(A w): J = diag(y) A, and G v = J^T J v, which lacks residuals."""
    matrix, at, along, target = (random.normal(size=shape) for shape in ((5, 2), (2, 1), (2, 1), (5, 1)))
    w, v = dl.placeholder("float64", (2, 1)), dl.placeholder("float64", (2, 1))
    y = dl.exp(dl.constant(matrix) @ w)
    loss = 0.5 * dl.sum(dl.square(y - target))
    (found,) = dl.Session().run(dl.gauss_newton_vector_product(loss, [y], [w], [v]), {w: at, v: along})
    jacobian = np.exp(matrix @ at) * matrix
    np.testing.assert_allclose(found, jacobian.T @ jacobian @ along, rtol=1e-13)


def test_g_is_h_where_the_outputs_are_linear(random: np.random.Generator) -> None:
    x = dl.constant(random.normal(size=(6, 3)))
    labels = dl.constant(random.integers(0, 4, 6))
    w, v = dl.constant(random.normal(size=(3, 4))), dl.constant(random.normal(size=(3, 4)))
    logits = x @ w
    loss = dl.mean(dl.softmax_cross_entropy(logits, labels))
    g = dl.gauss_newton_vector_product(loss, [logits], [w], [v])
    h = dl.hessian_vector_product(loss, [w], [v])
    np.testing.assert_allclose(*dl.Session().run([*g, *h]), rtol=1e-12)


def test_what_does_not_depend_is_0_of_its_shape() -> None:
    x, y = dl.placeholder("float32", ("batch", 2)), dl.placeholder("float32", (3,))
    products = [
        *dl.jvp([y * y], [x], [x]),
        *dl.vjp([y * y], [x], [y]),
        *dl.hessian_vector_product(y, [x], [x]),
    ]
    for product, like in zip(products, (y, x, x), strict=True):
        assert product.spec == like.spec
    for value in dl.Session().run(products, {x: np.ones((4, 2), "f"), y: np.ones(3, "f")}):
        assert not value.any()
    assert dl.jvp([], [x], [x]) == dl.vjp([y], [], [y]) == []


MISTAKES: list[tuple[Callable[[Any, Any], object], str]] = [
    (lambda x, n: dl.jvp([x], [x], [dl.constant(1.0)]), "the tangent of 'x' float32[2] is float32[]"),
    (lambda x, n: dl.jvp([x], [x], [x, x]), "2 tangents are given for 1 tensors"),
    (lambda x, n: dl.jvp(x, x, x), "cannot be iterated over"),
    (lambda x, n: dl.jvp([x], [x], [np.ones(2)]), "ndarray is no tensor, and has no derivatives"),  # type: ignore[list-item]
    (lambda x, n: dl.vjp([n], [x], [n]), "'n' is int64: only float tensors have derivatives"),
    (lambda x, n: dl.vjp([x], [x], []), "0 cotangents are given for 1 tensors"),
    (lambda x, n: dl.jacobian(dl.sin, x), "is no tensor, and has no derivatives"),  # type: ignore[arg-type]
    (lambda x, n: dl.jacobian(x, [x]), "list is no tensor, and has no derivatives"),  # type: ignore[arg-type]
    (lambda x, n: dl.jacobian(dl.placeholder("float32", ("n",)), x), "a named dimension of float32[n]"),
    (lambda x, n: dl.hessian_vector_product(1.0, [x], [x]), "float is no tensor"),  # type: ignore[arg-type]
    (lambda x, n: dl.hessian_vector_product(x, [x], []), "0 vectors are given for 1 tensors"),
    (lambda x, n: dl.gauss_newton_vector_product(x, [x], [x], [n]), "'n' is int64"),
    (lambda x, n: dl.gradients(x, x), "write [it] for a list"),
    (lambda x, n: dl.gradients(x, [None]), "NoneType is no tensor"),  # type: ignore[list-item]
    (lambda x, n: dl.gradients(x, [x], upstream=1.0), "float is no tensor"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("build", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_mistakes(build: Callable[[Any, Any], object], message: str) -> None:
    x, n = dl.placeholder("float32", (2,), "x"), dl.placeholder("int64", (2,), "n")
    with pytest.raises(GraphError) as caught:
        build(x, n)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_has_no_derivative_is_named() -> None:
    x = dl.placeholder("float32", (2,), "x")
    with pytest.raises(NotDifferentiableError, match="less has no derivative"):
        dl.jvp([dl.cast(x < 0, "float32")], [x], [x])


def test_the_jacobian_is_the_derivative_of_each_element():
    with dl.Graph():
        x = dl.placeholder("float64", (3,), "x")
        y = dl.concat([dl.reshape(dl.sum(x * x), (1,)), dl.sin(x) * x[0]])
        j = dl.jacobian(dl.reshape(y, (2, 2)), x)
        assert j.shape == (2, 2, 3)
        a, b, c = point = np.array([0.3, -1.2, 0.7])
        expected = [
            2 * point,
            [np.cos(a) * a + np.sin(a), 0, 0],
            [np.sin(b), np.cos(b) * a, 0],
            [np.sin(c), 0, np.cos(c) * a],
        ]
        np.testing.assert_allclose(dl.Session().run(j, {x: point}), np.reshape(expected, (2, 2, 3)))
        dl.check_gradients(j, [x], {x: point})


def test_the_jacobian_of_the_gradient_is_the_hessian():
    with dl.Graph():
        x = dl.placeholder("float64", (4,), "x")
        (slope,) = dl.gradients(dl.sum(x * x * x) + x[0] * x[3], [x])
        point = np.arange(4.0)
        expected = np.diag(6 * point)
        expected[0, 3] = expected[3, 0] = 1
        np.testing.assert_allclose(dl.Session().run(dl.jacobian(slope, x), {x: point}), expected)
