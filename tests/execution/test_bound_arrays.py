"""Inputs that lie in arrays of the caller, and tensors that stand for others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dltrain as dl
from dltrain.autodiff.program import Program
from dltrain.errors import GraphError


@pytest.fixture(autouse=True)
def graph() -> Iterator[dl.Graph]:
    with dl.Graph() as graph:
        yield graph


def stored() -> np.ndarray[Any, Any]:
    return np.arange(60, dtype=np.float32).reshape(5, 3, 4)


def test_an_array_is_read_where_it_lies() -> None:
    examples, rows = dl.placeholder("float32", ("examples", 3, 4)), dl.placeholder("int64", ("batch",))
    function = dl.Session().make_callable(dl.gather(examples, rows) * 2, [examples, rows])
    array = stored()
    bound = function.bind({examples: array}, batch=2)
    (index,) = bound.inputs  # what is given is not among them
    for chosen in ([4, 1], [0, 0]):
        index[:] = chosen
        np.testing.assert_array_equal(bound(), array[chosen] * 2)
    array[0] = -1  # nothing was copied
    np.testing.assert_array_equal(bound(), np.full((2, 3, 4), -2))
    index[:] = [0, 5]
    with pytest.raises(GraphError, match=r"index 5 is out of range; allowed: 0 to 4"):
        bound()


def test_functions_are_kept_by_array_and_sizes() -> None:
    x, y = dl.placeholder("float32", ("n",)), dl.placeholder("float32", ("n",))
    function = dl.Session().make_callable(x + y, [x, y])
    one, other = np.ones(3, np.float32), np.ones(3, np.float32)
    bound = function.bind({x: one})  # the array tells n
    assert function.bind({x: one}) is bound
    assert function.bind({x: other}) is not bound
    assert function.bind({y: one}) is not bound
    assert function.bind(n=3) is not bound
    both = function.bind({x: one, y: one})
    assert not both.inputs
    assert both().tolist() == [2, 2, 2]
    assert function(one, other).tolist() == [2, 2, 2]


def test_nothing_writes_into_what_is_given(tmp_path: Path) -> None:
    """Neither in place, nor as the new value of a variable."""
    # It may be mapped from a file that nobody may write.
    np.save(tmp_path / "x.npy", np.arange(4.0))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    x, v = dl.placeholder("float64", (4,)), dl.Variable(np.zeros(4), dtype="float64")
    for kernels in ("numpy", "auto"):
        session = dl.Session(kernels=kernels)
        bound = session.make_callable([dl.exp(x) + x, x, v.assign(x)], [x]).bind({x: mapped})
        for _ in range(2):
            result, same, _ = bound()
            np.testing.assert_allclose(result, np.exp(np.arange(4)) + np.arange(4))
            np.testing.assert_array_equal(same, np.arange(4))
        np.testing.assert_array_equal(session.value(v), np.arange(4))


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (stored().astype(">f4"), "'>f4'"),
        (stored().astype(np.float64), "'<f8'"),
        (stored()[:, ::-1], "row by row"),
        (np.zeros(241, np.uint8)[1:].view(np.float32).reshape(5, 3, 4), "places that their size divides"),
        (stored()[:, :2], r"shape is \(5, 2, 4\)"),
        (stored().reshape(-1), r"shape is \(60,\)"),
    ],
)
def test_an_array_that_cannot_be_an_input_s_memory(array: np.ndarray[Any, Any], why: str) -> None:
    x = dl.placeholder("float32", ("examples", 3, 4), "stored")
    function = dl.Session().make_callable(x + 1, [x])
    with pytest.raises(GraphError, match=f"stored cannot lie in the array: .*{why}.*np.require"):
        function.bind({x: array}, examples=5)


def test_what_cannot_be_bound() -> None:
    x, y = dl.placeholder("float32", ("n",), "x"), dl.placeholder("float32", ("n",), "y")
    function = dl.Session().make_callable(x + 1, [x])
    with pytest.raises(GraphError, match=r"y float32\[n\] is no input"):
        function.bind({y: np.ones(3, np.float32)})
    with pytest.raises(GraphError, match="dimension 'n' has no size"):
        function.bind()
    with pytest.raises(GraphError, match="no input has a dimension 'm': their names are n"):
        function.bind(n=2, m=3)
    for size in (-1, 2.0, True):
        with pytest.raises(GraphError, match=f"dimension 'n' cannot be {size}; give a size"):
            function.bind(n=size)
    with pytest.raises(GraphError, match=r"here of shape \(2,\), and the array's shape is \(3,\)"):
        function.bind({x: np.ones(3, np.float32)}, n=2)


def test_a_tensor_stands_for_another() -> None:
    """Also within a loop, and for a tensor that has a value of its own."""
    x, rows = dl.placeholder("float32", ("batch", 4), "x"), dl.placeholder("int64", ("batch",), "rows")
    table = dl.constant(np.arange(12, dtype=np.float32).reshape(3, 4))
    taken = dl.gather(table, rows)
    h = dl.tanh(x)
    _, sums = dl.scan(lambda state, _: (state + x, dl.sum(state * x)), x * 0, length=3)
    session = dl.Session()
    program = Program((x,), (h, sums))
    expected = session.compile(program)(np.arange(12).reshape(3, 4)[[2, 0]])
    found = session.compile(replace(program, inputs=(rows,), substitutions=((x, taken),)))([2, 0])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    (half,) = session.compile(Program((x,), (h * 2,), substitutions=((h, x),)))(np.ones((1, 4)))
    assert half.tolist() == [[2, 2, 2, 2]]
    with pytest.raises(GraphError, match=r"cannot stand for x float32\[batch, 4\]"):
        session.compile(replace(program, inputs=(rows,), substitutions=((x, dl.cast(rows, "float32")),)))
