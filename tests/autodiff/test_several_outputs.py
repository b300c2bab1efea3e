"""Ops with several outputs: each is a tensor that can be used, fetched, differentiated or left alone."""

from dataclasses import dataclass

import numpy as np
import pytest

import dltrain as dl
from dltrain.compiler.planning import PASSES
from dltrain.errors import NotDifferentiableError


@dataclass(frozen=True)
class Polar(dl.Op):
    """Radius and angle of the points (x, y), and how many there are."""

    def infer(self, x, y):
        return x, x, dl.Spec((), np.dtype("int64"))

    def compute(self, x, y, *, out):
        radius, angle, count = out
        np.hypot(x, y, out=radius)
        np.arctan2(y, x, out=angle)
        count[...] = x.size

    def gradient(self, node, radius_upstream, angle_upstream, count_upstream):
        x, y = node.inputs
        radius, _, _ = node.outputs
        in_x, in_y = [], []
        if radius_upstream is not None:
            in_x.append(radius_upstream * x / radius)
            in_y.append(radius_upstream * y / radius)
        if angle_upstream is not None:
            in_x.append(-(angle_upstream * y / radius**2))
            in_y.append(angle_upstream * x / radius**2)
        assert count_upstream is None
        return sum(in_x[1:], in_x[0]), sum(in_y[1:], in_y[0])


POINTS = np.array([3.0, 5.0, 8.0]), np.array([4.0, 12.0, -15.0])


@pytest.fixture
def polar():
    with dl.Graph():
        x, y = dl.placeholder("float64", ("points",), "x"), dl.placeholder("float64", ("points",), "y")
        yield (x, y), Polar().apply(x, y, name="polar"), dict(zip((x, y), POINTS, strict=True))


@pytest.mark.parametrize("kernels", ["numpy", "native"])
def test_each_output_is_a_tensor(polar, kernels):
    _, (radius, angle, count), feeds = polar
    assert [output.name for output in (radius, angle, count)] == ["polar", "polar:1", "polar:2"]
    assert radius.graph["polar:1"] is angle
    assert radius.node is angle.node
    session = dl.Session(kernels=kernels)
    np.testing.assert_allclose(
        session.run(angle * 2 + radius, feeds), 2 * np.arctan2(*POINTS[::-1]) + [5, 13, 17]
    )
    assert session.run([count, radius], feeds)[0] == 3
    assert [len(value.value.shape) for value in dl.trace(session, [count, radius], feeds)] == [1, 1, 1, 0]


@pytest.mark.parametrize("passes", [PASSES, *(PASSES - {name} for name in sorted(PASSES)), frozenset()])
def test_no_pass_changes_them(polar, passes):
    (x, y), (radius, angle, _), feeds = polar
    loss = dl.sum(radius * dl.sin(angle) + angle)  # y + angle
    results = dl.Session(passes=passes).run([loss, radius, *dl.gradients(loss, [x, y])], feeds)
    a, b = POINTS
    np.testing.assert_allclose(results[0], b.sum() + np.arctan2(b, a).sum())
    np.testing.assert_array_equal(results[1], [5, 13, 17])
    np.testing.assert_allclose(results[2], -b / (a * a + b * b))
    np.testing.assert_allclose(results[3], 1 + a / (a * a + b * b))


def test_derivatives_through_one_output_and_both(polar):
    (x, y), (radius, angle, _), feeds = polar
    for loss in (radius, angle, radius * angle):
        dl.check_gradients(loss, [x, y], feeds)
        (slope,) = dl.gradients(loss, [x])
        dl.check_gradients(slope, [x, y], feeds)
    assert dl.gradients(radius, [radius, angle])[1] is None  # neither is computed from the other


def test_a_fed_output_leaves_the_others_as_they_are(polar):
    _, (radius, angle, _), feeds = polar
    values = dl.Session().run([radius, angle, radius + angle], {**feeds, radius: np.zeros(3)})
    np.testing.assert_array_equal(values[0], np.zeros(3))
    np.testing.assert_array_equal(values[2], values[1])
    fed = dl.Session().run([radius, angle], {**feeds, angle: np.ones(3)})
    np.testing.assert_array_equal(fed, [[5, 13, 17], [1, 1, 1]])


def test_what_only_the_integer_depends_on_has_no_derivative(polar):
    (x, _), (_, _, count), _ = polar
    with pytest.raises(NotDifferentiableError, match="polar has no derivative"):
        dl.gradients(dl.cast(count, "float64"), [x])
