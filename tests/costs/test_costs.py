"""Each cost against plain NumPy, at the limits of floating point, and the penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltrain.autodiff import Graph, Variable, gradients, placeholder
from dltrain.autodiff.spec import Array
from dltrain.costs import BinaryCrossEntropy, Cost, CrossEntropy, Huber, Mae, Mse
from dltrain.errors import ConfigError
from dltrain.execution import Session
from dltrain.task import Bernoulli, Categorical, Point, Prediction

RNG = np.random.default_rng(2)


def evaluated(
    cost: Cost, x: Array, target: Array, predicted: type[Prediction] = Point
) -> tuple[Array, float, Array]:
    """Costs of the examples, their mean, and its gradient with respect to x (logits or output)."""
    with Graph() as graph:
        tensor = placeholder(x.dtype, ("batch", *x.shape[1:]), "x")
        wanted = placeholder(target.dtype, ("batch", *target.shape[1:]), "target")
        prediction = predicted(tensor)
        each, mean = cost.per_example(prediction, wanted), cost(prediction, wanted)
        gradient = gradients(mean, [tensor])[0]
    assert each.shape == ("batch",)
    assert mean.shape == ()
    found: tuple[Array, float, Array] = tuple(
        Session(graph).run([each, mean, gradient], {tensor: x, wanted: target})
    )
    assert found[1] == pytest.approx(np.mean(found[0]), rel=1e-5)
    return found


def log_softmax(x: Array) -> Array:
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


LOGITS = RNG.normal(0, 3, (5, 4))
LABELS = np.array([0, 3, 1, 1, 2])


def test_cross_entropy_of_labels() -> None:
    each, _, gradient = evaluated(CrossEntropy(), LOGITS, LABELS, Categorical)
    np.testing.assert_allclose(each, -log_softmax(LOGITS)[np.arange(5), LABELS], rtol=1e-12)
    np.testing.assert_allclose(gradient, (np.exp(log_softmax(LOGITS)) - np.eye(4)[LABELS]) / 5, atol=1e-14)


def test_cross_entropy_of_distributions() -> None:
    target = RNG.dirichlet(np.ones(4), 5)
    each, _, _ = evaluated(CrossEntropy(), LOGITS, target, Categorical)
    np.testing.assert_allclose(each, -(target * log_softmax(LOGITS)).sum(1), rtol=1e-12)


@pytest.mark.parametrize("target", [LABELS, np.eye(4)[LABELS]])
def test_label_smoothing(target: Array) -> None:
    each, _, _ = evaluated(CrossEntropy(label_smoothing=0.2), LOGITS, target, Categorical)
    smooth = 0.8 * np.eye(4)[LABELS] + 0.2 / 4
    np.testing.assert_allclose(each, -(smooth * log_softmax(LOGITS)).sum(1), rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_huge_logits_is_finite(smoothing: float) -> None:
    logits = np.array([[1e8, -1e8, 0], [-1e8, 1e8, 0], [0, 0, 0]], np.float32)
    each, _, gradient = evaluated(
        CrossEntropy(label_smoothing=smoothing), logits, np.array([0, 0, 2]), Categorical
    )
    assert np.isfinite(each).all()
    assert np.isfinite(gradient).all()
    assert each[1] >= 1.8e8
    assert each[2] == pytest.approx(np.log(3))


def test_binary_cross_entropy() -> None:
    logits, target = RNG.normal(0, 3, (5, 2, 3)), RNG.random((5, 2, 3))
    each, _, _ = evaluated(BinaryCrossEntropy(), logits, target, Bernoulli)
    p = 1 / (1 + np.exp(-logits))
    expected = -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean((1, 2))
    np.testing.assert_allclose(each, expected, rtol=1e-10)


def test_binary_cross_entropy_of_huge_logits_is_finite() -> None:
    logits = np.array([[1e8, -1e8], [-1e8, 1e8]], np.float32)
    each, _, gradient = evaluated(
        BinaryCrossEntropy(), logits, np.array([[1, 0], [1, 0]], np.float32), Bernoulli
    )
    np.testing.assert_array_equal(each, np.array([0, 1e8], np.float32))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("shape", [(5, 2, 3), (5, 4), (5,)])
@pytest.mark.parametrize(
    ("cost", "formula"),
    [
        (Mse(), lambda d: d**2),
        (Mae(), np.abs),
        (Huber(delta=0.7), lambda d: np.where(np.abs(d) <= 0.7, d**2 / 2, 0.7 * (np.abs(d) - 0.35))),
    ],
)
def test_distances_are_means_over_all_features(cost: Cost, formula: Any, shape: tuple[int, ...]) -> None:
    x, target = RNG.standard_normal(shape), RNG.standard_normal(shape)
    each, _, _ = evaluated(cost, x, target)
    np.testing.assert_allclose(each, formula(x - target).reshape(5, -1).mean(1), rtol=1e-12)


def test_huber_derivative_is_limited_by_delta_also_at_it() -> None:
    x = np.array([[-3.0], [-0.5], [0.0], [0.2], [0.5], [9.0]])
    _, _, gradient = evaluated(Huber(delta=0.5), x, np.zeros((6, 1)))
    np.testing.assert_allclose(6 * gradient, np.clip(x, -0.5, 0.5), rtol=1e-12)


def test_penalty_is_on_trainable_weights_only() -> None:
    kernel, other = RNG.standard_normal((3, 2)), RNG.standard_normal((2, 2))
    with Graph() as graph:
        variables = [
            Variable(kernel, name="kernel"),
            Variable(np.ones(2), name="bias"),
            Variable(other, name="other_kernel"),
            Variable(np.ones((2, 2)), name="fixed", trainable=False),
        ]
        penalty = Mse(l2=0.3, l1=0.02).penalty(variables)
        assert penalty is not None
        slope = gradients(penalty, [variables[0]])[0]
    expected = sum(0.3 / 2 * np.sum(w**2) + 0.02 * np.abs(w).sum() for w in (kernel, other))
    found, derivative = Session(graph).run([penalty, slope])
    assert found == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(derivative, 0.3 * kernel + 0.02 * np.sign(kernel), rtol=1e-12)


def test_without_factors_or_weights_there_is_no_penalty() -> None:
    with Graph():
        kernel, bias = Variable(np.ones((2, 2)), name="kernel"), Variable(np.ones(2), name="bias")
        assert Mse().penalty([kernel]) is None
        assert Mse(l2=1.0).penalty([bias]) is None


def test_cross_entropy_of_positions_is_their_mean() -> None:
    logits, labels = RNG.normal(0, 3, (5, 7, 4)), RNG.integers(0, 4, (5, 7))
    each, _, _ = evaluated(CrossEntropy(), logits, labels, Categorical)
    expected = -np.take_along_axis(log_softmax(logits), labels[..., None], -1)[..., 0].mean(1)
    np.testing.assert_allclose(each, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("cls", "keys", "message"),
    [
        (CrossEntropy, {"label_smoothing": 1.0}, "label_smoothing must be less than 1"),
        (CrossEntropy, {"l2": -1.0}, "l2 must be at least 0"),
        (CrossEntropy, {"l1": float("inf")}, "l1 must be a finite number"),
        (Huber, {"delta": 0}, "delta must be greater than 0"),
        (Mse, {"weight_decay": 0.1}, "write l2 instead"),
    ],
)
def test_wrong_keys_are_refused(cls: type[Cost], keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cls(**keys)
