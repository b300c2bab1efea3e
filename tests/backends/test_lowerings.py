"""Which lowering computes which op: that of its own kernel, or a user's."""

import numpy as np
import pytest

import dltrain as dl
from dltrain.autodiff.ops.arithmetic import Square
from dltrain.autodiff.ops.exponential import Exp
from dltrain.autodiff.ops.logic import Cast
from dltrain.autodiff.ops.reduce import Sum
from dltrain.autodiff.ops.softmax import Softmax
from dltrain.backends.c import C, CCall
from dltrain.backends.c.compiler import find_compiler
from dltrain.backends.c.elementwise import group_call

NATIVE = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
BACKENDS = ["numpy", pytest.param("native", marks=NATIVE)]


class SumAbs(Sum, abstract=True):
    def compute(self, x, *, out):
        np.sum(np.abs(x), axis=self.axes, keepdims=self.keepdims, out=out)


class Halves(Softmax, abstract=True):
    def compute(self, x, *, out):
        np.divide(x, 2, out=out)


class Cube(Square, abstract=True):
    def compute(self, x, *, out):
        np.power(x, 3, out=out)


class Sine(Exp, abstract=True):
    ufunc = np.sin


class Sine1(Sine, abstract=True):
    def compute(self, x, *, out):
        np.sin(x, out=out)
        np.add(out, 1, out=out)


class Sine2(Sine1, abstract=True):
    formula = "sin{F}({0}) + 1"


class Rounded(Cast, abstract=True):
    def compute(self, x, *, out):
        out[...] = np.rint(x)


@pytest.mark.parametrize("kernels", BACKENDS)
@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (SumAbs((1,), False), lambda x: np.abs(x).sum(axis=1)),
        (Halves(1), lambda x: x / 2),
        (Cube(), lambda x: x**3),
        (Sine(), np.sin),
        (Sine1(), lambda x: np.sin(x) + 1),
        (Sine2(), lambda x: np.sin(x) + 1),
        (Rounded(np.dtype(np.int64)), np.rint),
    ],
    ids=lambda value: getattr(value, "label", ""),
)
def test_a_class_with_a_kernel_of_its_own_has_not_the_c_of_its_base(op, expected, kernels):
    values = np.array([[1.0, -2.0, 2.7], [-4.0, 5.2, 0.1]])
    with dl.Graph():
        x = dl.placeholder("float64", (2, 3))
        result = dl.Session(kernels=kernels).run(op(x), {x: values})
    np.testing.assert_allclose(result, expected(values), rtol=1e-12)


class Total(Sum, abstract=True):
    """A sum whose C declines."""


class Squared(Square, abstract=True):
    """A square with C of its own."""


ASKED = []


@C.lowering(Total)
def total(work, c):
    ASKED.append(work.nodes)


@C.lowering(Squared)
def squared(work, c):
    ASKED.append(work.nodes)
    return group_call(work, c)


@NATIVE
@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (Total((1,), False), lambda x: np.exp(x).sum(axis=1)),
        (Squared(), lambda x: np.exp(x) ** 2),
    ],
    ids=lambda value: getattr(value, "label", ""),
)
def test_a_lowering_of_its_own_is_given_the_op_alone(op, expected):
    values = np.linspace(-1.0, 1.0, 6).reshape(2, 3)
    ASKED.clear()
    with dl.Graph():
        x = dl.placeholder("float64", (2, 3))
        results = [op(dl.exp(x)), dl.exp(op(dl.exp(x)) + 1.0)]
        results = dl.Session(kernels="native").run(results, {x: values})
    np.testing.assert_allclose(results[0], expected(values), rtol=1e-12)
    np.testing.assert_allclose(results[1], np.exp(expected(values) + 1.0), rtol=1e-12)
    assert [[node.op for node in nodes] for nodes in ASKED] == [[op]]


class Root(dl.Op, abstract=True):
    """sqrt(|x|), whose C refuses what is below 0."""

    def infer(self, x):
        return x

    def compute(self, x, *, out):
        np.sqrt(np.abs(x), out=out)


SOURCE = """
#include <math.h>
#include <stdint.h>

int64_t root(char **p, const int64_t *n, int64_t start, int64_t stop) {
  const double x = *(const double *)p[0];
  *(double *)p[1] = sqrt(x);
  return x < 0;
}
"""


@C.lowering(Root)
def root(work, c):
    return CCall(work, "root", SOURCE, [*work.inputs, *work.outputs], refuses=True)


def inner(state):
    """The roots of four numbers, some of them negative, and what is made of them before and after."""

    def turn(s, x):
        result = dl.exp(-Root()(s + x)) + x
        return result, (Root()(result), x)

    last, outputs = dl.scan(turn, state, np.array([-1.0, 2.0, -3.0, 0.5]))
    return last, outputs[0]


@NATIVE
@pytest.mark.parametrize("kind", ["plain", "loop", "loops"])
def test_what_c_refuses_numpy_computes_and_all_goes_on(kind):
    with dl.Graph():
        x = dl.placeholder("float64", ())
        if kind == "plain":
            results = [dl.exp(Root()(Root()(x) - 3.0)) + 1.0, Root()(x)]
        elif kind == "loop":
            results = [*inner(x)]
        else:
            last, outputs = dl.scan(lambda s, _: (inner(s)[0] - 1.0, inner(s)[1]), x, length=5)
            results = [last, outputs]
        expected = dl.Session(kernels="numpy").run(results, {x: -2.0})
        session = dl.Session(kernels="native")
        for _ in range(2):
            for found, wanted in zip(session.run(results, {x: -2.0}), expected, strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-12)
