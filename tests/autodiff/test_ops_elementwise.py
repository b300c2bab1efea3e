"""Elementwise ops where the conformance suite does not look: dtypes, edges, conventions."""

from __future__ import annotations

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


def value(build: Callable[..., Tensor], *arrays: Any, dtype: str = "float64") -> Any:
    with Graph() as graph:
        return Session(graph).run(build(*(constant(array, dtype) for array in arrays)))


def gradient(build: Callable[..., Tensor], *arrays: Any, dtype: str = "float64") -> list[Any]:
    """Of the sum of the output, with respect to each input."""
    with Graph() as graph:
        inputs = [constant(array, dtype) for array in arrays]
        found = gradients(build(*inputs), inputs)
        return [None if one is None else np.asarray(Session(graph).run(one)).tolist() for one in found]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_number_adopts_the_dtype_of_the_tensor(dtype: str) -> None:
    with Graph():
        x = placeholder(dtype, ("batch",))
        for result in (x + 1, 1 + x, x * np.float64(0.5), x / np.ones(1), x - np.int64(3), 2**x, x**2):
            assert result.dtype == dtype
            assert result.shape == ("batch",)


def test_a_fraction_is_not_cut_off_for_integers() -> None:
    with Graph():
        x = placeholder("int64", (2,), "x")
        assert (x + 2).dtype == np.int64
        for combine in (lambda: x + 0.5, lambda: 0.5 * x, lambda: x > 0.5, lambda: ops.where(x > 0, x, 0.5)):
            with pytest.raises(GraphError, match=r"float64 values do not become int64 unasked; use cast\(\)"):
                combine()


def test_numbers_alone_become_float32_if_one_is_a_float() -> None:
    with Graph() as graph:
        result = ops.add(1, 2.5)
        assert result.dtype == np.float32
        assert Session(graph).run(result) == 3.5
        assert ops.add(1, 2).dtype == np.int64


def test_a_number_joins_the_graph_of_the_tensor() -> None:
    with Graph() as graph:
        x = placeholder("float32", (2,))
    assert (x + 1).graph is graph
    assert ops.where(x > 0, 1.0, x).graph is graph


def test_dtypes_do_not_mix() -> None:
    with Graph():
        x, y = placeholder("float32", (2,), "x"), placeholder("float64", (2,), "y")
        with pytest.raises(
            GraphError,
            match=r"add\(x float32\[2\], y float64\[2\]\): .*: dtypes float32 and float64 do not mix",
        ):
            x + y


@pytest.mark.parametrize("dtype", ["bool", "uint8"])
def test_what_wraps_around_is_refused(dtype: str) -> None:
    with Graph():
        x = placeholder(dtype, (2,))
        for build in (lambda: x + x, lambda: -x, lambda: ops.sum(x)):
            with pytest.raises(GraphError, match=f"there is no arithmetic on {dtype}"):
                build()


def test_what_has_fractions_refuses_integers() -> None:
    with Graph():
        x = placeholder("int64", (2,))
        for build in (
            lambda: x / x,
            lambda: ops.exp(x),
            lambda: ops.sigmoid(x),
            lambda: ops.mean(x),
            lambda: x @ x,
        ):
            with pytest.raises(GraphError, match="int64 has no fractions"):
                build()


def test_shapes_that_do_not_broadcast_are_named() -> None:
    with Graph():
        x, y = placeholder("float32", ("batch", 3), "x"), placeholder("float32", (2,), "y")
        with pytest.raises(
            GraphError, match=r"shapes \[batch, 3\] and \[2\] do not broadcast: 2 against 3|3 against 2"
        ):
            x * y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_are_stable(dtype: str) -> None:
    """Values and derivatives at +-1e8 are their limits, with no nan and no warning."""
    x = [-1e8, 1e8]
    limits = {
        ops.sigmoid: ([0, 1], [0, 0]),
        ops.tanh: ([-1, 1], [0, 0]),
        ops.softplus: ([0, 1e8], [0, 1]),
        ops.silu: ([0, 1e8], [0, 1]),
        ops.gelu: ([0, 1e8], [0, 1]),
        ops.elu: ([-1, 1e8], [0, 1]),
        ops.relu: ([0, 1e8], [0, 1]),
        ops.leaky_relu: ([-1e6, 1e8], [0.01, 1]),
    }
    for function, (values, derivatives) in limits.items():
        np.testing.assert_allclose(value(function, x, dtype=dtype), values, rtol=1e-6)
        np.testing.assert_allclose(gradient(function, x, dtype=dtype)[0], derivatives, rtol=1e-6)


def test_small_tails_keep_their_digits() -> None:
    assert value(ops.sigmoid, [-50.0])[0] == pytest.approx(1.9287498479639178e-22, rel=1e-14)
    assert value(ops.softplus, [-50.0])[0] == pytest.approx(1.9287498479639178e-22, rel=1e-14)
    assert value(ops.expm1, [1e-12])[0] == pytest.approx(1.0000000000005e-12, rel=1e-14)


def test_derivatives_at_kinks() -> None:
    assert gradient(ops.relu, [0.0]) == [[0.0]]
    assert gradient(ops.leaky_relu, [0.0]) == [[0.01]]
    assert gradient(ops.elu, [0.0]) == [[1.0]]
    assert gradient(ops.abs, [-2.0, 0.0, 2.0]) == [[-1.0, 0.0, 1.0]]
    assert gradient(ops.maximum, [1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) == [[0, 0.5, 1], [1, 0.5, 0]]
    assert gradient(ops.minimum, [1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) == [[1, 0.5, 0], [0, 0.5, 1]]


def test_derivatives_at_the_edge_of_the_domain() -> None:
    assert gradient(ops.sqrt, [0.0]) == [[np.inf]]
    assert value(ops.log, [0.0, -1.0])[0] == -np.inf
    assert gradient(ops.log, [0.0]) == [[np.inf]]
    assert gradient(ops.power, [0.0, 0.0, 0.0], [0.0, 1.0, 2.0]) == [[0, 1, 0], [0, 0, 0]]
    assert gradient(ops.power, [0.0], [0.5]) == [[np.inf], [0]]
    assert value(ops.power, [-8.0], [3.0])[0] == -512
    in_a, in_b = gradient(ops.power, [-2.0], [3.0])
    assert in_a == [12.0]
    assert np.isnan(in_b[0])


def test_what_where_did_not_choose_gets_no_gradient() -> None:
    def safe_log(x: Tensor) -> Tensor:
        positive = x > 0
        return ops.where(positive, ops.log(ops.where(positive, x, 1)), 0)

    assert gradient(safe_log, [0.0, -1.0, 2.0]) == [[0, 0, 0.5]]
    assert gradient(lambda a, b: ops.where(a > 0, a, b), [1.0, -1.0], [np.nan, 5.0]) == [[1, 0], [0, 1]]


def test_maximum_keeps_nan() -> None:
    assert np.isnan(value(ops.maximum, [np.nan, 1.0], [1.0, np.nan])).all()
    assert np.isnan(value(ops.relu, [np.nan])).all()


def test_logic_takes_bool_only() -> None:
    with Graph():
        x = placeholder("float32", (2,))
        with pytest.raises(GraphError, match="it takes bool, not float32; compare first"):
            ops.logical_not(x)
        with pytest.raises(GraphError, match="the condition is float32, not bool"):
            ops.where(x, x, x)


def test_cast_to_the_same_dtype_is_the_tensor_itself() -> None:
    with Graph():
        x = placeholder("float32", (2,))
        assert ops.cast(x, "float32") is x
        with pytest.raises(GraphError, match="unsupported dtype int32"):
            ops.cast(x, "int32")


def test_the_gradient_passes_a_cast() -> None:
    with Graph() as graph:
        x = constant([1.0, 2.0])
        (found,) = gradients(ops.square(ops.cast(x, "float64")), [x])
        assert found is not None
        assert found.dtype == np.float32
        assert Session(graph).run(found).tolist() == [2.0, 4.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_cross_entropy_is_stable(dtype: str) -> None:
    x, z = [-1e8, 1e8, -1e8, 1e8, 30.0, 0.0], [0.0, 1.0, 1.0, 0.0, 1.0, 0.25]
    np.testing.assert_allclose(
        value(ops.sigmoid_cross_entropy, x, z, dtype=dtype),
        [0, 0, 1e8, 1e8, 9.357622968839299e-14, np.log(2)],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        gradient(ops.sigmoid_cross_entropy, x, z, dtype=dtype)[0], [0, 0, -1, 1, 0, 0.25], atol=1e-12
    )
