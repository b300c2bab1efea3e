"""Layouts against the strides that NumPy gives its views."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dltrain.autodiff.layout import Layout


def layout_of(array: np.ndarray, memory: np.ndarray) -> Layout:
    size = memory.itemsize
    offset = (array.__array_interface__["data"][0] - memory.__array_interface__["data"][0]) // size
    return Layout(array.shape, tuple(stride // size for stride in array.strides), offset)


def numbers(layout: Layout, memory: np.ndarray) -> np.ndarray:
    """What lies there, number by number."""
    found = np.empty(layout.shape)
    for index in np.ndindex(layout.shape):
        steps = sum(i * stride for i, stride in zip(index, layout.strides, strict=True))
        found[index] = memory[layout.offset + steps]
    return found


SIZES = st.sampled_from([(6,), (2, 3), (1, 4, 3), (3, 1, 2, 2), (), (2, 0, 3)])


def steps(draw: st.DrawFn, array: np.ndarray, layout: Layout) -> tuple[np.ndarray, Layout]:
    """One more view of the array, and the same of its layout."""
    kind = draw(st.sampled_from(["transpose", "part", "broadcast_to"]))
    if kind == "transpose":
        axes = draw(st.permutations(range(array.ndim)))
        return array.transpose(axes), layout.transpose(axes)
    if kind == "broadcast_to":
        shape = (2, *(2 if size == 1 else size for size in array.shape))
        return np.broadcast_to(array, shape), layout.broadcast_to(shape)
    key = []
    for size in array.shape:
        index = [draw(st.integers(-size, size - 1))] if size else []
        ends = st.none() | st.integers(-4, 4)
        part = slice(draw(ends), draw(ends), draw(st.integers(1, 3)))
        key.append(draw(st.sampled_from([*index, part, slice(None)])))
        key += draw(st.sampled_from([[], [None]]))
    return array[(*key, ...)], layout.part(key)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_views_lie_where_those_of_numpy_lie(data: st.DataObject) -> None:
    shape = data.draw(SIZES)
    memory = np.arange(50.0)
    array = memory[7 : 7 + int(np.prod(shape))].reshape(shape)
    layout = Layout.contiguous(shape, 7)
    for _ in range(data.draw(st.integers(0, 3))):
        array, layout = steps(data.draw, array, layout)
        assert layout.shape == array.shape
        assert layout.size == array.size
        np.testing.assert_array_equal(numbers(layout, memory), array)
        assert layout.is_contiguous == array.flags.c_contiguous
        if array.size:
            assert layout.end == np.lib.array_utils.byte_bounds(array)[1] // 8 - memory.ctypes.data // 8
    flat = data.draw(st.sampled_from([(array.size,), (1, array.size), array.shape[::-1], (*array.shape, 1)]))
    reshaped = layout.reshape(flat)
    viewed = array.reshape(flat)
    if reshaped is not None:
        np.testing.assert_array_equal(numbers(reshaped, memory), viewed)
    assert (reshaped is None) == (array.size > 0 and not np.shares_memory(viewed, memory))


def test_an_index_beyond_the_end_is_none() -> None:
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 1 with size 3"):
        Layout.contiguous((2, 3)).part([slice(None), 3])
