"""Dimensions that are products of names and sizes."""

import numpy as np
import pytest

import dltrain as dl
from dltrain.errors import GraphError


def test_reshape_merges_named_dimensions_and_parts_them_again():
    with dl.Graph():
        x = dl.placeholder("float64", ("batch", 28, 64), "x")
        rows = dl.reshape(x, (-1, 64))
        assert str(rows.spec) == "float64[batch*28, 64]"
        assert repr(rows.shape) == "(batch*28, 64)"
        assert dl.reshape(rows, ("batch", 28, 64)).shape == x.shape
        assert dl.reshape(rows, ("batch", -1)).shape == ("batch", 28 * 64)
        assert (
            dl.reshape(x, (-1,)).shape == dl.reshape(dl.transpose(x), (-1,)).shape
        )  # however they came about
        values = np.arange(2 * 28 * 64.0).reshape(2, 28, 64)
        np.testing.assert_array_equal(dl.Session().run(rows * 1.5, {x: values}), values.reshape(-1, 64) * 1.5)


def test_names_may_be_multiplied_with_each_other():
    with dl.Graph():
        x = dl.placeholder("float32", ("time", "batch", 3), "x")
        rows = dl.reshape(x, (-1, 3))
        assert str(rows.spec) == "float32[batch*time, 3]"
        assert dl.reshape(rows, ("time", "batch", 3)).shape == x.shape
        function = dl.Session().make_callable(dl.sum(rows, axis=0), [x])
        for time, batch in ((2, 5), (7, 1), (0, 4)):
            np.testing.assert_array_equal(function(np.ones((time, batch, 3))), np.full(3, time * batch))


def test_a_product_broadcasts_with_itself_only():
    with dl.Graph():
        rows = dl.reshape(dl.placeholder("float32", ("batch", 2)), (-1,))
        assert (rows + rows).shape == rows.shape
        with pytest.raises(GraphError, match="batch\\*2"):
            rows + dl.placeholder("float32", ("batch",))


def test_the_gradient_of_a_shared_matrix_makes_no_stack():
    """x[batch, 28, 64] @ W: forward and both gradients are products of two matrices."""
    with dl.Graph() as graph:
        x = dl.placeholder("float64", ("batch", 28, 64), "x")
        w = dl.Variable(np.random.default_rng(0).normal(size=(64, 5)), name="w")
        loss = dl.sum(dl.square(x @ w))
        dl.gradients(loss, [x, w])
        products = [node.output for node in graph.nodes if node.op.label == "matmul"]
        assert [tensor.spec.rank for tensor in products] == [2, 2, 2]
        dl.check_gradients(loss, [w], {x: np.random.default_rng(1).normal(size=(2, 28, 64))})


def test_slices_of_one_tensor_have_one_gradient_array():
    with dl.Graph():
        x = dl.placeholder("float64", (50, 3), "x")
        total = sum((dl.sin(x[t]) * t for t in range(1, 50)), x[0])
        plan = dl.Session().compile(dl.Program((x,), tuple(dl.gradients(total, [x])))).bind().plan
        assert plan.buffers < 2 * 50 * 3 * 8  # not 50 arrays
        dl.check_gradients(total, [x], {x: np.random.default_rng(0).normal(size=(50, 3))})


def test_a_fed_tensor_of_merged_dimensions_binds_its_name():
    with dl.Graph():
        x = dl.placeholder("float32", ("batch", 2), "x")
        rows = dl.reshape(x, (-1,))
        session = dl.Session()
        assert session.run(dl.sum(rows), {rows: np.ones(6)}) == 6
        with pytest.raises(GraphError, match="batch\\*2"):
            session.run(dl.sum(rows), {rows: np.ones(5)})
        with pytest.raises(GraphError, match="batch\\*2 is 6 in x"):
            session.run(dl.sum(rows) + dl.sum(x), {x: np.ones((3, 2)), rows: np.ones(4)})


def test_a_fed_product_tells_its_names_as_far_as_it_can():
    with dl.Graph():
        square = dl.reshape(dl.placeholder("float32", ("batch", "batch")), (-1,))
        double = dl.reshape(dl.placeholder("float32", ("batch", 2)), (-1,))
        other = dl.reshape(dl.placeholder("float32", ("batch", "time")), (-1,))
        session = dl.Session()
        assert len(session.run(square, {square: np.ones(9)})) == 9
        assert len(session.run(other, {other: np.ones(6), double: np.ones(4)})) == 6
        with pytest.raises(GraphError, match=r"batch\*batch is batch\*batch in .* but 7 in"):
            session.run(square, {square: np.ones(7)})
        with pytest.raises(GraphError, match=r"batch\*time is 4\*time|batch\*time is time\*4"):
            session.run(other, {other: np.ones(6), double: np.ones(8)})


def test_where_there_are_no_numbers_names_need_not_be_kept():
    with dl.Graph():
        x = dl.placeholder("float32", ("batch", 0, 4), "x")
        w = dl.Variable(np.ones((4, 5), np.float32))
        loss = dl.sum(dl.reshape(x, (-1, 4)) @ w) + dl.sum(x @ w)
        found = dl.Session().run([x @ w, *dl.gradients(loss, [w])], {x: np.ones((2, 0, 4))})
        assert [value.shape for value in found] == [(2, 0, 5), (4, 5)]
        assert not found[1].any()
