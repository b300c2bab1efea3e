"""Examples of a split, taken from what is stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dltrain.datasets import Split, epoch_order
from dltrain.datasets.source import ArraySource
from dltrain.errors import ConfigError

ROWS = np.array([4, 1, 3])


def stored(dtype: str) -> np.ndarray[Any, Any]:
    return np.arange(5 * 2 * 3, dtype=dtype).reshape(5, 2, 3)


def split_of(inputs: np.ndarray[Any, Any], targets: Any, rows: Any, scale: float) -> Split:
    return Split(ArraySource(inputs), targets, rows, scale)


@pytest.mark.parametrize("dtype", ["u1", "f4", ">f4", "f8", ">f8", "f2"])
@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("index", [[0], [2, 0], [1, 1, 1, 1], [], list(range(3)) * 5])
def test_the_scaled_inputs_and_the_labels(dtype: str, scale: float, index: list[int]) -> None:
    inputs, labels = stored(dtype), np.array([10, 11, 12, 13, 14])
    split = split_of(inputs, labels, ROWS, scale)
    assert len(split) == 3
    x, y = split.take(np.array(index, np.int64))
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, stored(dtype)[ROWS[index]] * scale)
    np.testing.assert_array_equal(y, labels[ROWS[index]])
    np.testing.assert_array_equal(inputs, stored(dtype))  # not changed


@pytest.mark.parametrize(
    ("inputs", "dtype", "lies_so"),
    [
        (stored("u1"), "u1", True),
        (stored("f4"), "f4", True),
        (stored("f8"), "f8", True),
        (stored(">f4"), "f4", False),
        (stored("f2"), "f4", False),
        (np.frombuffer(b"1" + stored("f8").tobytes(), "f8", offset=1).reshape(5, 2, 3), "f8", False),
        (np.asfortranarray(stored("f4")), "f4", True),  # copied once
    ],
)
def test_which_arrays_a_graph_can_read_where_they_lie(
    inputs: np.ndarray[Any, Any], dtype: str, lies_so: bool
) -> None:
    source = ArraySource(inputs)
    assert (len(source), source.shape, source.dtype) == (5, (2, 3), np.dtype(dtype))
    assert (source.array is not None) == lies_so
    out = np.empty((3, 2, 3), dtype)
    source.take(ROWS, out)
    np.testing.assert_array_equal(out, inputs[ROWS])
    if source.array is not None:
        assert source.array.flags.carray or not source.array.flags.writeable
        np.testing.assert_array_equal(source.array, inputs)


def test_positions_beyond_the_split() -> None:
    split = split_of(stored("u1"), None, ROWS, 1.0)
    with pytest.raises(IndexError):
        split.take(np.array([3]))


LABELS = np.array([10, 11, 12, 13, 14])


def test_taken_examples_are_new_arrays() -> None:
    split = split_of(stored("u1"), LABELS, ROWS, 0.5)
    inputs, targets = split.take(np.array([2, 0]))
    np.testing.assert_array_equal(inputs, stored("u1")[[3, 4]] * 0.5)
    assert (inputs.dtype, targets.dtype) == (np.float32, np.int64)
    assert targets.tolist() == [13, 14]
    inputs[:] = 0
    assert split.take(np.array([2, 0]))[0].any()
    with pytest.raises(IndexError):
        split.take(np.array([3]))
    assert [len(array) for array in split.take(np.array([], np.int64))] == [0, 0]


def test_a_whole_split_as_arrays_of_any_size() -> None:
    many = np.arange(2500, dtype=np.uint8).reshape(2500, 1)
    inputs, targets = split_of(many, np.arange(2500), np.arange(2500)[::-1].copy(), 1.0).arrays()
    np.testing.assert_array_equal(inputs, many[::-1])
    np.testing.assert_array_equal(targets, np.arange(2500)[::-1])


def test_the_target_may_be_the_input() -> None:
    split = split_of(stored("u1"), None, ROWS, 1.0)
    for inputs, targets in (split.arrays(), *split.batches(2)):
        assert targets is inputs


def test_batches_are_those_of_training() -> None:
    split = split_of(np.arange(23, dtype=np.uint8).reshape(23, 1), np.arange(23), np.arange(23), 1.0)
    for seed, epoch in ((0, 1), (0, 2), (5, 1)):
        batches = list(split.batches(10, epoch=epoch, seed=seed))
        assert [len(inputs) for inputs, _ in batches] == [10, 10, 3]
        order = epoch_order(23, seed=seed, epoch=epoch)
        np.testing.assert_array_equal(np.concatenate([inputs for inputs, _ in batches])[:, 0], order)
        np.testing.assert_array_equal(np.concatenate([targets for _, targets in batches]), order)
    assert [targets.tolist() for _, targets in split.batches(12)] == [[*range(12)], [*range(12, 23)]]
    assert len(list(split.batches(100))) == 1
    for wrong in ({"size": 0}, {"size": 5, "epoch": -1}, {"size": 5, "epoch": 1, "seed": -1}):
        with pytest.raises(ConfigError):  # at once, not when the first batch is asked for
            split.batches(**wrong)
