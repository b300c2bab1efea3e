"""trace: every node with its value, as the graph has it."""

import numpy as np
import pytest

import dltrain as dl
from dltrain.execution import trace
from dltrain.execution.tracing import first_not_finite


@pytest.fixture(autouse=True)
def graph():
    with dl.Graph() as graph:
        yield graph


def test_all_that_a_tensor_is_computed_from_is_shown_as_it_was_built():
    x, _ = dl.placeholder("float32", (2,), "x"), dl.constant(5.0, name="unused")
    w = dl.Variable([1.0, -1.0], name="w")
    y = dl.log(x * 1.0 + w)
    session = dl.Session()
    session.assign(w, [2.0, -3.0])
    traced = trace(session, y, {x: [1, 2]})
    assert [each.node.name for each in traced] == ["x", "w", "constant", "multiply", "add", "log"]
    np.testing.assert_array_equal(traced[-2].value, [3, -1])
    assert first_not_finite(traced) == len(traced) - 1
    assert traced[-2].range == "-1 .. 3"
    assert session.state()["w"].tolist() == [2.0, -3.0]


def test_a_fed_tensor_hides_what_it_is_computed_from():
    x = dl.placeholder("float32", (), "x")
    middle = dl.sqrt(x)
    traced = trace(dl.Session(), [middle + 1.0], {middle: 4.0})
    assert [each.node.op.label for each in traced] == ["sqrt", "constant", "add"]
    assert traced[-1].value == 5
    assert first_not_finite(traced) is None
