"""A plan whose inputs and results lie in given memory, as those of a loop's body do."""

import numpy as np
import pytest

import dltrain as dl
from dltrain.autodiff.layout import Layout
from dltrain.backends.backend import assembled
from dltrain.backends.memory import array_of
from dltrain.backends.numpy import NumPy
from dltrain.backends.scratch import Scratch
from dltrain.compiler.buffers import Block, Buffer
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import lower
from dltrain.compiler.planning import PASSES, planned
from dltrain.compiler.storage import Storage

FLOAT = np.dtype("float64")


@pytest.mark.parametrize("passes", [PASSES, frozenset()])
def test_inputs_and_results_lie_where_they_are_asked_to(passes: frozenset[str]) -> None:
    sequence = Buffer(Block(5 * 3 * 8), Layout.contiguous((3, 5)), FLOAT)
    results = Buffer(Block(6 * 3 * 8), Layout.contiguous((3, 6)), FLOAT)
    column = sequence.at(sequence.layout.part([slice(None), 2]))
    fetched = [
        results.at(results.layout.part([slice(None), 1])),  # of what is computed
        results.at(results.layout.part([0, slice(2, 4)])),  # of a view
        results.at(results.layout.part([1, slice(3, 6)])),  # of the input itself
        results.at(results.layout.part([2, slice(3, 6)])),  # of the first once more
        Buffer(Block(6 * 8), Layout.contiguous((6,)), FLOAT),  # of what is joined
    ]
    with dl.Graph():
        x = dl.placeholder("float64", (3,))
        y = dl.exp(x) * 2.0
        program = dl.Program((x,), (y, y[1:], x, y, dl.concat([dl.sin(x), dl.cos(x)])))
        made = planned(lower(program, {}), Storage(), passes, [column], fetched)
    arrays = {node: array_of(buffer) for node, buffer in made.buffers.items()}
    (calls,) = assembled([[Instruction(group, arrays) for group in made.compute]], [NumPy()], Scratch())
    array_of(sequence)[...] = np.arange(15).reshape(3, 5)
    array_of(results)[...] = -1
    for call in calls:
        call.run()
    value = np.array([2.0, 7.0, 12.0])
    expected = np.full((3, 6), -1.0)
    expected[:, 1], expected[0, 2:4] = 2 * np.exp(value), 2 * np.exp(value)[1:]
    expected[1, 3:], expected[2, 3:] = value, 2 * np.exp(value)
    np.testing.assert_allclose(array_of(results), expected, rtol=1e-15)
    np.testing.assert_allclose(array_of(fetched[-1]), [*np.sin(value), *np.cos(value)], rtol=1e-15)
    assert made.bytes == (0 if passes else 3 * 3 * 8)


@pytest.mark.parametrize("passes", [PASSES, frozenset()])
def test_results_in_the_place_of_inputs_come_after_all_that_reads_these(passes: frozenset[str]) -> None:
    places = [Buffer(Block(4 * 8), Layout.contiguous((4,)), FLOAT) for _ in range(2)]
    results = [places[1], places[0], Buffer(Block(8), Layout.contiguous(()), FLOAT)]
    with dl.Graph():
        x, y = dl.placeholder("float64", (4,)), dl.placeholder("float64", (4,))
        doubled = x * 2.0
        program = dl.Program((x, y), (doubled, y, dl.sum(doubled * y)))
        made = planned(lower(program, {}), Storage(), passes, places, results)
    arrays = {node: array_of(buffer) for node, buffer in made.buffers.items()}
    (calls,) = assembled([[Instruction(group, arrays) for group in made.compute]], [NumPy()], Scratch())
    first, second = np.arange(4.0), np.array([7.0, 5.0, 2.0, 3.0])
    for place, value in zip(places, (first, second), strict=True):
        array_of(place)[...] = value
    for call in calls:
        call.run()
    for place, expected in zip(results, (2 * first, second, 2 * first @ second), strict=True):
        np.testing.assert_array_equal(array_of(place), expected)


def test_a_result_is_computed_in_the_place_of_an_input_that_has_been_read() -> None:
    place = Buffer(Block(4 * 8), Layout.contiguous((4,)), FLOAT)
    with dl.Graph():
        x = dl.placeholder("float64", (4,))
        parts = [dl.sin(dl.sum(x, keepdims=True)), dl.cos(dl.broadcast_to(dl.sum(x), (3,)))]
        program = dl.Program((x,), (dl.concat(parts),))
        made = planned(lower(program, {}), Storage(), PASSES, [place], [place])
    assert all(node.op.label != "copy" for group in made.compute for node in group)
    arrays = {node: array_of(buffer) for node, buffer in made.buffers.items()}
    (calls,) = assembled([[Instruction(group, arrays) for group in made.compute]], [NumPy()], Scratch())
    array_of(place)[...] = [1.0, 2.0, 3.0, 4.0]
    for call in calls:
        call.run()
    np.testing.assert_allclose(array_of(place), [np.sin(10.0), *[np.cos(10.0)] * 3], rtol=1e-14)
