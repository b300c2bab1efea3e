"""Each metric against plain NumPy, with ties, and combined over batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dltrain.autodiff import Graph, placeholder
from dltrain.autodiff.spec import Array
from dltrain.errors import ConfigError
from dltrain.execution import Session
from dltrain.metrics import (
    F1,
    R2,
    Accuracy,
    ConfusionMatrix,
    Mae,
    Metric,
    Mse,
    Perplexity,
    Precision,
    Recall,
    RocAuc,
    TopKAccuracy,
)
from dltrain.task import Bernoulli, Categorical, Point, Prediction

RNG = np.random.default_rng(4)
SCORES = RNG.standard_normal((50, 6)).astype(np.float32)
LABELS = RNG.integers(0, 6, 50)
MAPS, MAP_LABELS = RNG.standard_normal((50, 4, 6)).astype(np.float32), RNG.integers(0, 6, (50, 4))
YES, YES_LABELS = RNG.standard_normal((50, 3)).astype(np.float32), RNG.integers(0, 2, (50, 3)).astype("f4")
OUTPUT, TARGET = RNG.random((50, 2, 3), np.float32), RNG.random((50, 2, 3), np.float32)
BATCHES = [slice(0, 32), slice(32, 49), slice(49, 50)]


def evaluated(
    metric: Metric,
    predicted: type[Prediction],
    scores: Array,
    target: Array,
    cuts: Sequence[slice] = (slice(None),),
) -> Any:
    """The figure, of sums over batches that are cut out."""
    with Graph() as graph:
        tensor = placeholder(scores.dtype, ("batch", *scores.shape[1:]), "scores")
        wanted = placeholder(target.dtype, ("batch", *target.shape[1:]), "target")
        sums = list(metric.build(predicted(tensor), wanted))
    session = Session(graph)
    parts = [session.run(sums, {tensor: scores[cut], wanted: target[cut]}) for cut in cuts]
    join = np.concatenate if metric.keeps_examples else sum
    return metric.figure(*(join(list(column)) for column in zip(*parts, strict=True)))


CASES = [
    (Accuracy(), Categorical, SCORES, LABELS),
    (Accuracy(), Categorical, MAPS, MAP_LABELS),
    (Accuracy(), Bernoulli, YES, YES_LABELS),
    (TopKAccuracy(k=2), Categorical, SCORES, LABELS),
    (ConfusionMatrix(), Categorical, SCORES, LABELS),
    (ConfusionMatrix(), Categorical, MAPS, MAP_LABELS),
    (Perplexity(), Categorical, MAPS, MAP_LABELS),
    (Precision(), Categorical, SCORES, LABELS),
    (Recall(average="none"), Bernoulli, YES, YES_LABELS),
    (F1(average="micro"), Categorical, MAPS, MAP_LABELS),
    (RocAuc(), Categorical, SCORES, LABELS),
    (RocAuc(), Categorical, MAPS, MAP_LABELS),
    (RocAuc(), Bernoulli, YES, YES_LABELS),
    (Mse(), Point, OUTPUT, TARGET),
    (Mae(), Point, OUTPUT, TARGET),
    (R2(), Point, OUTPUT, TARGET),
]


@pytest.mark.parametrize(("metric", "predicted", "scores", "target"), CASES)
def test_batches_of_different_sizes_combine_to_the_whole(
    metric: Metric, predicted: type[Prediction], scores: Array, target: Array
) -> None:
    found = evaluated(metric, predicted, scores, target, BATCHES)
    np.testing.assert_allclose(found, evaluated(metric, predicted, scores, target), rtol=1e-12)
    assert metric.is_number == isinstance(found, float)


def test_accuracy() -> None:
    assert evaluated(Accuracy(), Categorical, SCORES, LABELS) == (SCORES.argmax(1) == LABELS).mean()
    assert evaluated(Accuracy(), Categorical, MAPS, MAP_LABELS) == (MAPS.argmax(-1) == MAP_LABELS).mean()
    assert evaluated(Accuracy(), Bernoulli, YES, YES_LABELS) == ((YES > 0) == YES_LABELS).mean()


@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_top_k_accuracy(k: int) -> None:
    top = np.argsort(-SCORES, axis=1)[:, :k]
    expected = (top == LABELS[:, None]).any(1).mean()
    assert evaluated(TopKAccuracy(k=k), Categorical, SCORES, LABELS) == expected


@pytest.mark.parametrize("k", [1, 2, 3])
def test_ties_count_the_first_classes(k: int) -> None:
    """A model that gives all classes one score is right where the label is among the first k."""
    labels = np.array([0, 1, 2, 2])
    assert evaluated(TopKAccuracy(k=k), Categorical, np.zeros((4, 3)), labels) == (labels < k).mean()


def test_top_1_accuracy_is_accuracy_also_with_ties() -> None:
    scores = RNG.integers(0, 3, (60, 4)).astype(np.float32)
    labels = RNG.integers(0, 4, 60)
    first = evaluated(TopKAccuracy(k=1), Categorical, scores, labels)
    assert first == evaluated(Accuracy(), Categorical, scores, labels)


def test_names_among_the_figures() -> None:
    metrics = [TopKAccuracy(), TopKAccuracy(k=2), F1(), F1(average="micro"), Recall(average="none")]
    names = ["top_k_accuracy", "top_2_accuracy", "f1", "f1_micro", "recall_by_class"]
    assert [metric.label for metric in metrics] == names


def test_scores_decide_where_probabilities_are_rounded_to_one() -> None:
    assert evaluated(Accuracy(), Bernoulli, np.array([[-1e-30]], "f4"), np.zeros((1, 1), "f4")) == 1.0
    scores = np.array([[[0, 30.0], [0, 31.0]]], np.float32)
    assert evaluated(RocAuc(), Categorical, scores, np.array([[0, 1]])) == 1.0


def test_confusion_matrix_has_the_right_classes_as_rows() -> None:
    for scores, labels in ((SCORES, LABELS), (MAPS, MAP_LABELS)):
        expected = np.zeros((6, 6), np.int64)
        np.add.at(expected, (labels, scores.argmax(-1)), 1)
        found = evaluated(ConfusionMatrix(), Categorical, scores, labels)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, expected)


def scores_of_classes(right: Array, found: Array, classes: int) -> Array:
    """Precision, recall and f1 of each class, counted one by one; 0 / 0 is 0."""
    rows = []
    for k in range(classes):
        both = sum(1 for r, f in zip(right, found, strict=True) if r == f == k)
        precision = both / max(1, sum(f == k for f in found))
        recall = both / max(1, sum(r == k for r in right))
        rows.append([precision, recall, 2 * precision * recall / max(1e-300, precision + recall)])
    return np.array(rows)


@pytest.mark.parametrize(("number", "cls"), list(enumerate([Precision, Recall, F1])))
def test_precision_recall_and_f1(number: int, cls: Any) -> None:
    labels = LABELS % 4  # two classes are found but are never right
    expected = scores_of_classes(labels, SCORES.argmax(1), 6)[:, number]
    by_class = evaluated(cls(average="none"), Categorical, SCORES, labels)
    np.testing.assert_allclose(by_class, expected, rtol=1e-12)
    found = evaluated(cls(), Categorical, SCORES, labels)
    assert found == pytest.approx(expected.mean(), rel=1e-12)
    micro = evaluated(cls(average="micro"), Categorical, SCORES, labels)
    assert micro == pytest.approx((SCORES.argmax(1) == labels).mean(), rel=1e-12)


def test_a_class_that_is_nowhere_does_not_count() -> None:
    scores = np.array([[3.0, 0, 0], [0, 3, 0], [0, 3, 0]], np.float32)
    labels = np.array([0, 1, 0])
    assert evaluated(Recall(), Categorical, scores, labels) == pytest.approx((1 / 2 + 1) / 2)
    nothing = np.zeros((2, 3), np.float32)
    assert evaluated(F1(), Bernoulli, nothing, nothing) == 0.0


def test_f1_of_labels_of_yes_or_no() -> None:
    found = evaluated(F1(average="none"), Bernoulli, YES, YES_LABELS)
    for k in range(3):
        expected = scores_of_classes(YES_LABELS[:, k], (YES[:, k] > 0).astype(float), 2)[1, 2]
        assert found[k] == pytest.approx(expected, rel=1e-12)
    one = evaluated(F1(), Bernoulli, YES[:, 0], YES_LABELS[:, 0])
    assert one == pytest.approx(found[0], rel=1e-12)


def pairs_in_order(scores: Array, positive: Array) -> float:
    wins = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    return float(np.mean(wins))


def test_roc_auc_is_the_share_of_pairs_in_order_also_with_ties() -> None:
    scores = np.round(YES * 2) / 2
    expected = np.mean([pairs_in_order(scores[:, k], YES_LABELS[:, k] > 0) for k in range(3)])
    assert evaluated(RocAuc(), Bernoulli, scores, YES_LABELS) == pytest.approx(expected, rel=1e-12)
    p = np.exp(SCORES.astype(float)) / np.exp(SCORES.astype(float)).sum(1, keepdims=True)
    expected = np.mean([pairs_in_order(p[:, k], k == LABELS) for k in range(6)])
    assert evaluated(RocAuc(), Categorical, SCORES, LABELS) == pytest.approx(expected, rel=1e-12)


def test_roc_auc_of_examples_of_one_kind_is_nan() -> None:
    assert math.isnan(evaluated(RocAuc(), Bernoulli, YES, np.ones_like(YES)))


def test_perplexity() -> None:
    p = np.exp(SCORES.astype(float)) / np.exp(SCORES.astype(float)).sum(1, keepdims=True)
    expected = np.exp(-np.log(p[np.arange(50), LABELS]).mean())
    assert evaluated(Perplexity(), Categorical, SCORES, LABELS) == pytest.approx(expected, rel=1e-6)
    even = evaluated(Perplexity(), Categorical, np.zeros((3, 7)), np.array([0, 4, 6]))
    assert even == pytest.approx(7, rel=1e-12)
    wrong = np.array([[1e4, 0.0]])
    assert evaluated(Perplexity(), Categorical, wrong, np.array([1])) == math.inf


@pytest.mark.parametrize(("metric", "formula"), [(Mse(), np.square), (Mae(), np.abs)])
def test_distances(metric: Metric, formula: Any) -> None:
    expected = formula(OUTPUT.astype(np.float64) - TARGET).mean()
    assert evaluated(metric, Point, OUTPUT, TARGET) == pytest.approx(expected, rel=1e-6)
    expected = formula(OUTPUT[:, 0, 0].astype(np.float64) - TARGET[:, 0, 0]).mean()
    assert evaluated(metric, Point, OUTPUT[:, 0, 0], TARGET[:, 0, 0]) == pytest.approx(expected, rel=1e-6)


def test_r2() -> None:
    y, t = OUTPUT.astype(np.float64), TARGET.astype(np.float64)
    expected = (1 - ((y - t) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0)).mean()
    assert evaluated(R2(), Point, OUTPUT, TARGET) == pytest.approx(expected, rel=1e-9)
    assert evaluated(R2(), Point, TARGET, TARGET) == 1.0
    means = np.broadcast_to(t.mean(0), t.shape)
    assert evaluated(R2(), Point, means, t) == pytest.approx(0, abs=1e-12)
    some = TARGET.copy()
    some[:, 0] = 0.1  # their targets are all equal
    expected = (1 - ((y - t) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0))[1].mean()
    assert evaluated(R2(), Point, y, some) == pytest.approx(expected, rel=1e-9)
    assert math.isnan(evaluated(R2(), Point, y[:, 0], some[:, 0]))


@pytest.mark.parametrize("mean", [1e3, 1e6, 1.6e7, -1e6])
def test_r2_where_the_mean_is_large_beside_the_spread(mean: float) -> None:
    t = (mean + 10 * RNG.normal(size=(500, 3))).astype(np.float32)
    y, exact = t + RNG.normal(size=(500, 3)).astype(np.float32), t.astype(np.float64)
    expected = (1 - ((y - exact) ** 2).sum(0) / ((exact - exact.mean(0)) ** 2).sum(0)).mean()
    assert evaluated(R2(), Point, y, t) == pytest.approx(expected, rel=1e-6)


def test_wrong_keys_are_refused() -> None:
    with pytest.raises(ConfigError, match="k must be greater than 0"):
        TopKAccuracy(k=0)
    with pytest.raises(ConfigError, match="write k instead"):
        TopKAccuracy(top_k=3)
    with pytest.raises(ConfigError, match="average must be one of"):
        F1(average="weighted")
