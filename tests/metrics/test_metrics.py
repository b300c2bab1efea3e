"""Each metric against plain NumPy, with ties, and combined over batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from dltrain.autodiff import Graph, Tensor, placeholder
from dltrain.autodiff.spec import Array
from dltrain.errors import ConfigError
from dltrain.execution import Session
from dltrain.metrics import Accuracy, ConfusionMatrix, Mae, Metric, Mse, TopKAccuracy

RNG = np.random.default_rng(4)
SCORES = RNG.standard_normal((50, 6)).astype(np.float32)
LABELS = RNG.integers(0, 6, 50)
OUTPUT, TARGET = RNG.random((50, 2, 3), np.float32), RNG.random((50, 2, 3), np.float32)


@dataclass
class Prediction:
    output: Tensor
    logits: Tensor | None = None


def evaluated(metric: Metric, output: Array, target: Array, logits: Array | None = None) -> Any:
    with Graph() as graph:
        tensor = placeholder(output.dtype, ("batch", *output.shape[1:]), "output")
        before = placeholder(output.dtype, ("batch", *output.shape[1:]), "logits")
        wanted = placeholder(target.dtype, ("batch", *target.shape[1:]), "target")
        built = metric.build(Prediction(tensor, None if logits is None else before), wanted)
    feeds = {tensor: output, wanted: target} if logits is None else {before: logits, wanted: target}
    return Session(graph).run(built, feeds)


def test_accuracy() -> None:
    assert evaluated(Accuracy(), SCORES, LABELS) == (SCORES.argmax(1) == LABELS).mean()


@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_top_k_accuracy(k: int) -> None:
    top = np.argsort(-SCORES, axis=1)[:, :k]
    assert evaluated(TopKAccuracy(k=k), SCORES, LABELS) == (top == LABELS[:, None]).any(1).mean()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_ties_count_the_first_classes(k: int) -> None:
    """A model that gives all classes one score is right where the label is among the first k."""
    labels = np.array([0, 1, 2, 2])
    assert evaluated(TopKAccuracy(k=k), np.zeros((4, 3)), labels) == (labels < k).mean()


def test_top_1_accuracy_is_accuracy_also_with_ties() -> None:
    scores = RNG.integers(0, 3, (60, 4)).astype(np.float32)
    labels = RNG.integers(0, 4, 60)
    assert evaluated(TopKAccuracy(k=1), scores, labels) == evaluated(Accuracy(), scores, labels)


def test_logits_decide_where_probabilities_are_rounded_to_one() -> None:
    logits = np.array([[40.0, 41.0]], np.float32)
    assert evaluated(Accuracy(), np.ones((1, 2), np.float32), np.array([1]), logits) == 1.0


def test_confusion_matrix_has_the_right_classes_as_rows() -> None:
    found = evaluated(ConfusionMatrix(), SCORES, LABELS)
    expected = np.zeros((6, 6), np.int64)
    np.add.at(expected, (LABELS, SCORES.argmax(1)), 1)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("metric", "formula"), [(Mse(), np.square), (Mae(), np.abs)])
def test_distances(metric: Metric, formula: Any) -> None:
    expected = formula(OUTPUT.astype(np.float64) - TARGET).mean()
    assert evaluated(metric, OUTPUT, TARGET) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("metric", "output", "target"),
    [
        (Accuracy(), SCORES, LABELS),
        (TopKAccuracy(k=2), SCORES, LABELS),
        (ConfusionMatrix(), SCORES, LABELS),
        (Mse(), OUTPUT, TARGET),
        (Mae(), OUTPUT, TARGET),
    ],
)
def test_batches_of_different_sizes_combine_to_the_whole(
    metric: Metric, output: Array, target: Array
) -> None:
    cuts = [slice(0, 32), slice(32, 49), slice(49, 50)]
    parts = [(evaluated(metric, output[cut], target[cut]), cut.stop - cut.start) for cut in cuts]
    whole = evaluated(metric, output, target)
    if metric.reduction == "sum":
        np.testing.assert_array_equal(sum(value for value, _ in parts), whole)
    else:
        assert sum(value * size for value, size in parts) / 50 == pytest.approx(whole, rel=1e-14)


def test_wrong_keys_are_refused() -> None:
    with pytest.raises(ConfigError, match="k must be greater than 0"):
        TopKAccuracy(k=0)
    with pytest.raises(ConfigError, match="write k instead"):
        TopKAccuracy(top_k=3)
