"""Gathering a batch into the caller's buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from dltrain.autodiff import Graph
from dltrain.backends.c.compiler import find_compiler
from dltrain.datasets import Split, epoch_order
from dltrain.errors import ConfigError
from dltrain.execution import Session

ROWS = np.array([4, 1, 3])


def stored(dtype: str) -> np.ndarray[Any, Any]:
    return np.arange(5 * 2 * 3, dtype=dtype).reshape(5, 2, 3)


@pytest.mark.parametrize("dtype", ["u1", "f4", ">f4", "f8", ">f8", "f2"])
@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("index", [[0], [2, 0], [1, 1, 1, 1], [], list(range(3)) * 5])
def test_writes_the_scaled_inputs_and_the_labels(dtype: str, scale: float, index: list[int]) -> None:
    inputs, labels = stored(dtype), np.array([10, 11, 12, 13, 14])
    split = Split(inputs, labels, ROWS, scale)
    assert len(split) == 3
    for _ in range(2):  # the second time with the reused scratch
        x, y = np.full((len(index), 2, 3), np.nan, np.float32), np.full(len(index), -1)
        split.gather(np.array(index, np.int64), inputs=x, targets=y)
        np.testing.assert_array_equal(x, stored(dtype)[ROWS[index]] * scale)
        np.testing.assert_array_equal(y, labels[ROWS[index]])
    np.testing.assert_array_equal(inputs, stored(dtype))  # not changed


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
@pytest.mark.parametrize("index", [[0], [2, 0], [], list(range(3)) * 3000])  # the last in several tasks
def test_with_a_session_s_rows_the_same_bits(dtype: str, index: list[int]) -> None:
    """0.1 is no float32 number, so that a multiplication in double precision would show."""
    split = Split(stored(dtype), None, ROWS, 0.1)
    plain, native = (np.full((len(index), 2, 3), np.nan, np.float32) for _ in range(2))
    split.gather(np.array(index, np.int64), inputs=plain)
    session = Session(Graph(), kernels="native")
    with threadpool_limits(2):
        session.run([])  # from a plan on native kernels have the threads that it was compiled for
    split.gather(np.array(index, np.int64), inputs=native, take_rows=session.take_rows)
    assert native.tobytes() == plain.tobytes()
    strided = np.full((len(index), 2, 6), -1, np.float32)[..., ::2]
    split.gather(np.array(index, np.int64), inputs=strided, take_rows=session.take_rows)
    assert strided.tobytes() == plain.tobytes()


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
def test_c_writes_no_buffer_and_reads_no_rows_that_it_must_not() -> None:
    take_rows = Session(Graph(), kernels="native").take_rows
    split, x = Split(stored("u1"), None, ROWS, 1.0), np.zeros((1, 2, 3), np.float32)
    with pytest.raises(ValueError, match="does not match"):
        split.gather(np.array([[0, 1]]), inputs=x, take_rows=take_rows)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        split.gather(np.array([0]), inputs=x, take_rows=take_rows)
    assert not x.any()


def test_batches_of_different_sizes_do_not_meet() -> None:
    split = Split(stored("u1"), None, np.arange(5), 1.0)
    first = np.empty((1, 2, 3), np.float32)
    split.gather(np.array([2]), inputs=first)
    large, small = np.empty((4, 2, 3), np.float32), np.empty((2, 2, 3), np.float32)
    split.gather(np.array([0, 1, 2, 3]), inputs=large)
    split.gather(np.array([4, 3]), inputs=small)
    np.testing.assert_array_equal(first, stored("u1")[2:3])
    np.testing.assert_array_equal(large, stored("u1")[:4])
    np.testing.assert_array_equal(small, stored("u1")[[4, 3]])


def test_positions_beyond_the_split_and_labels_there_are_not() -> None:
    split = Split(stored("u1"), None, ROWS, 1.0)
    x = np.empty((1, 2, 3), np.float32)
    with pytest.raises(IndexError):
        split.gather(np.array([3]), inputs=x)
    with pytest.raises(ValueError, match="no labels"):
        split.gather(np.array([0]), inputs=x, targets=np.empty(1, np.int64))
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        split.gather(np.array([0]), inputs=np.empty((1, 2, 4), np.float32))


LABELS = np.array([10, 11, 12, 13, 14])


def test_taken_examples_are_new_arrays() -> None:
    split = Split(stored("u1"), LABELS, ROWS, 0.5)
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
    inputs, targets = Split(many, np.arange(2500), np.arange(2500)[::-1].copy(), 1.0).arrays()
    np.testing.assert_array_equal(inputs, many[::-1])
    np.testing.assert_array_equal(targets, np.arange(2500)[::-1])


def test_the_target_may_be_the_input() -> None:
    split = Split(stored("u1"), None, ROWS, 1.0)
    for inputs, targets in (split.arrays(), *split.batches(2)):
        assert targets is inputs


def test_batches_are_those_of_training() -> None:
    split = Split(np.arange(23, dtype=np.uint8).reshape(23, 1), np.arange(23), np.arange(23), 1.0)
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
