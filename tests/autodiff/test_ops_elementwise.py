"""Elementwise ops where the conformance suite does not look: dtypes, edges, conventions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dltrain.autodiff import ops
from dltrain.autodiff.gradients import gradients
from dltrain.autodiff.graph import Graph, Tensor
from dltrain.autodiff.leaves import constant, placeholder
from dltrain.compiler.planning import PASSES
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


def slope(y: Tensor, x: Tensor) -> Tensor:
    (found,) = gradients(y, [x])
    assert found is not None
    return found


def derivatives(y: Tensor, x: Tensor, count: int) -> list[Tensor]:
    """y and its first derivatives in x, each the sum's gradient of the one before."""
    found = [y]
    for _ in range(count):
        found.append(slope(found[-1], x))
    return found


def falling(exponent: float, order: int) -> float:
    """n (n - 1) ... (n - order + 1)."""
    return math.prod(exponent - k for k in range(order))


BASES = np.array([0.0, 1e-200, 1e-155, 0.3, 1.7, -0.6, -0.0])


@pytest.mark.parametrize("passes", [PASSES, frozenset()], ids=["compiled", "plain"])
@pytest.mark.parametrize("exponent_is", ["a number", "a tensor"])
@pytest.mark.parametrize("exponent", [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 0.5, 2.5])
def test_derivatives_of_a_power_in_the_base_up_to_order_6(
    exponent: float, exponent_is: str, passes: frozenset[str]
) -> None:
    """n (n - 1) ... (n - k + 1) x^(n - k): 0 where a factor is, also at x = 0."""
    bases = BASES if exponent == int(exponent) else BASES[:5]
    with Graph(), np.errstate(all="ignore"):
        a, b = placeholder("float64", (len(bases),)), placeholder("float64", ())
        found = derivatives(a ** (b if exponent_is == "a tensor" else exponent), a, 6)
        values = Session(passes=passes).run(found, {a: bases, b: exponent})
        for order, value in enumerate(values):
            factor = falling(exponent, order)
            expected = factor * bases ** (exponent - order) if factor else np.zeros(len(bases))
            np.testing.assert_allclose(value, expected, rtol=1e-13, atol=0, err_msg=f"derivative {order}")


@pytest.mark.parametrize("exponent", [-1.5, -1.0, 0.0, 1.0, 3.0])
def test_derivatives_of_a_power_in_the_exponent_up_to_order_6(exponent: float) -> None:
    """a^b log(a)^k, taken as 0 at a = 0."""
    bases = np.array([0.0, 0.4, 1.0, 2.5])
    with Graph(), np.errstate(all="ignore"):
        b = placeholder("float64", (4,))
        found = derivatives(ops.power(bases, b), b, 6)
        for order, value in enumerate(Session().run(found[1:], {b: [exponent] * 4}), start=1):
            expected = [0, *(bases[1:] ** exponent * np.log(bases[1:]) ** order)]
            np.testing.assert_allclose(value, expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, -1.0, 1.5])
def test_mixed_derivatives_of_a_power(exponent: float) -> None:
    """d/db of b a^(b-1) and of b (b-1) a^(b-2), and the same in the other order."""
    bases = np.array([1e-3, 0.4, 1.0, 2.5])
    with Graph():
        a, b = placeholder("float64", (4,)), placeholder("float64", (4,))
        _, in_a, in_aa = derivatives(a**b, a, 2)
        in_ab, in_aab, in_ba = slope(in_a, b), slope(in_aa, b), slope(slope(a**b, b), a)
        found = Session().run([in_ab, in_ba, in_aab], {a: bases, b: [exponent] * 4})
    n, log = exponent, np.log(bases)
    second = bases ** (n - 1) * (1 + n * log)
    third = bases ** (n - 2) * (2 * n - 1 + n * (n - 1) * log)
    for value, expected in zip(found, [second, second, third], strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-12)


@pytest.mark.parametrize(("function", "alpha"), [(ops.elu, 1.0), (ops.elu, 0.3), (ops.expm1, 1.0)])
def test_slopes_of_what_is_near_its_limit_keep_their_digits(
    function: Callable[..., Tensor], alpha: float
) -> None:
    """Derivatives 1 to 3 of alpha (exp(x) - 1) are alpha exp(x), far below 1 too."""
    points = np.array([-80.0, -17.0, -5.0, -0.1], "float32")
    with Graph():
        x = placeholder("float32", (4,))
        found = derivatives(function(x, alpha) if function is ops.elu else function(x), x, 3)
        for value in Session().run(found[1:], {x: points}):
            np.testing.assert_allclose(value, alpha * np.exp(points.astype("float64")), rtol=1e-6)
