"""check_gradients finds wrong derivatives, and says where."""

from __future__ import annotations

import numpy as np
import pytest

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Graph, Tensor, Variable
from dltrain.autodiff.leaves import placeholder
from dltrain.autodiff.ops.bases import FloatElementwise
from dltrain.errors import GraphError, NotDifferentiableError
from dltrain.execution.checking import check_gradients
from dltrain.execution.session import Session


class CubeWithWrongGradient(FloatElementwise):
    """x^3, whose gradient is off by one part in a million where x > 1."""

    def compute(self, x: np.ndarray, *, out: np.ndarray) -> None:
        np.power(x, 3, out=out)

    def gradient(self, node: Tensor, upstream: Tensor) -> Tensor:
        (x,) = node.inputs
        return upstream * 3 * x * x * (1 + 1e-6 * ops.step(x - 1))


def test_right_derivatives_pass() -> None:
    with Graph():
        x = placeholder("float64", ("batch", 2), "x")
        w = Variable(np.array([[0.5, -1.0], [2.0, 0.1]]), name="w")
        check_gradients(ops.tanh(x @ w), [x, w], {x: np.array([[1.0, 2.0], [0.0, -30.0]])})


def test_a_wrong_derivative_is_located() -> None:
    with Graph():
        x = placeholder("float64", (4,), "x")
        cube = CubeWithWrongGradient()(x)
        check_gradients(cube, [x], {x: np.array([0.5, -2.0, 0.3, 0.9])})
        with pytest.raises(GraphError, match=r"with respect to 'x' is wrong: .*: element \[2\] is"):
            check_gradients(cube, [x], {x: np.array([0.5, -2.0, 3.0, 0.9])})
        check_gradients(cube, [x], {x: np.array([0.5, -2.0, 3.0, 0.9])}, tolerance=1e-5)


def test_a_derivative_of_nan_is_wrong() -> None:
    with Graph():
        x = placeholder("float64", (2,), "x")
        with pytest.raises(GraphError, match=r"element \[1\] is nan"):
            check_gradients(ops.sqrt(x) * 0.0, [x], {x: np.array([1.0, 0.0])})


def test_a_variable_is_taken_as_the_session_has_it() -> None:
    with Graph() as graph:
        x = Variable(np.array([0.5]), name="x")
        session = Session(graph)
        cube = CubeWithWrongGradient()(x)
        check_gradients(cube, [x], session=session)
        session.assign(x, [2.0])
        with pytest.raises(GraphError, match="'x' is wrong"):
            check_gradients(cube, [x], session=session)
        assert session.value(x).tolist() == [2.0]


def test_only_float64_is_checked() -> None:
    with Graph():
        x = placeholder("float32", (2,), "x")
        with pytest.raises(GraphError, match="'x' is float32: derivatives are checked in float64 only"):
            check_gradients(ops.cast(x, "float64"), [x], {x: np.ones(2)})


def test_a_missing_derivative_is_named() -> None:
    with Graph():
        x = placeholder("float64", (2,), "x")
        with pytest.raises(NotDifferentiableError, match="floor has no derivative"):
            check_gradients(ops.floor(x), [x], {x: np.ones(2)})
