"""The reverse walk, against derivatives known in closed form."""

import numpy as np
import pytest

import dltrain as dl
from dltrain.errors import GraphError, NotDifferentiableError


@pytest.fixture(autouse=True)
def graph():
    with dl.Graph() as graph:
        yield graph


def run(tensors, feeds=None):
    return dl.Session().run(tensors, feeds)


def test_contributions_of_several_paths_add_up():
    x = dl.constant(3.0)
    y = x * x + 2.0 * x
    assert run(dl.gradients(y, [x])) == [8.0]


def test_gradients_can_be_differentiated_again():
    x = dl.placeholder("float64", ())
    y = dl.exp(2.0 * x)
    (first,) = dl.gradients(y, [x])
    (second,) = dl.gradients(first, [x])
    (third,) = dl.gradients(second, [x])
    np.testing.assert_allclose(
        run([first, second, third], {x: 0.3}), [k * np.exp(0.6) for k in (2, 4, 8)], rtol=1e-14
    )


def test_hessian_vector_product_of_a_quadratic_form():
    matrix = np.array([[2.0, 1.0], [1.0, 5.0]])
    x, v = dl.placeholder("float64", (2, 1)), dl.constant(np.array([[3.0], [-1.0]]))
    form = dl.sum(dl.transpose(x) @ dl.constant(matrix) @ x)
    (gradient,) = dl.gradients(form, [x])
    (product,) = dl.gradients(dl.sum(gradient * v), [x])
    np.testing.assert_allclose(run(product, {x: [[0.5], [2.0]]}), 2 * matrix @ [[3.0], [-1.0]])


def test_broadcasting_is_undone():
    x = dl.placeholder("float64", ("batch", 3))
    row, column, one = (dl.Variable(np.ones(shape)) for shape in ((3,), (1, 1), ()))
    y = dl.sum((x + row) * column * one)
    grads = dl.gradients(y, [x, row, column, one])
    values = np.arange(6.0).reshape(2, 3)
    results = run(grads, {x: values})
    np.testing.assert_array_equal(results[0], np.ones((2, 3)))
    np.testing.assert_array_equal(results[1], [2, 2, 2])
    np.testing.assert_array_equal(results[2], [[21.0]])
    assert results[3] == 21.0
    assert [gradient.spec for gradient in grads] == [tensor.spec for tensor in (x, row, column, one)]


def test_upstream_weighs_the_elements():
    x = dl.constant([1.0, 2.0])
    (gradient,) = dl.gradients(x * x, [x], dl.constant([10.0, 1.0]))
    np.testing.assert_array_equal(run(gradient), [20, 4])
    with pytest.raises(GraphError, match="upstream is"):
        dl.gradients(x * x, [x], dl.constant([1.0]))


def test_no_dependence_gives_none():
    x, y = dl.constant(1.0), dl.constant(2.0)
    assert dl.gradients(x * x, [y]) == [None]
    assert dl.gradients(dl.stop_gradient(y) * x, [y]) == [None]


def test_the_loss_itself_and_inner_nodes_can_be_asked_for():
    x = dl.constant(2.0)
    y = x * x
    z = y * 3.0
    assert run(dl.gradients(z, [z, y, x])) == [1.0, 3.0, 12.0]


def test_what_has_no_derivative_says_so_by_name():
    x = dl.placeholder("float32", ("batch", 3))
    with pytest.raises(NotDifferentiableError, match=r"argmax has no derivative: .*test_gradients.py"):
        dl.gradients(dl.mean(dl.cast(dl.argmax(x, axis=1), "float32")), [x])
    with pytest.raises(NotDifferentiableError, match="floor has no derivative"):
        dl.gradients(dl.sum(dl.floor(x)), [x])
    with pytest.raises(GraphError, match="only float tensors have derivatives"):
        dl.gradients(dl.argmax(x, axis=1), [x])


def test_long_chains_do_not_overflow_the_stack():
    x = dl.constant(1.0)
    y = x
    for _ in range(3000):
        y = y * 1.001
    (gradient,) = dl.gradients(y, [x])
    assert run(gradient) == pytest.approx(1.001**3000, rel=1e-3)
