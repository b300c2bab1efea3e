"""Building graphs: names, scopes, places, values; and what is refused while building."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

import dltrain as dl
from dltrain.errors import GraphError
from dltrain.places import Key


@pytest.fixture(autouse=True)
def graph():
    with dl.Graph() as graph:
        yield graph


def test_names_are_unique_and_scoped(graph):
    a = dl.constant(1.0, name="a")
    b = dl.constant(1.0, name="a")
    with dl.name_scope("layer") as first:
        c = a + b
    with dl.name_scope("layer") as second:
        d = a + b
        with dl.name_scope("inner"):
            e = a + b
    assert [node.name for node in (a, b, c, d, e)] == [
        "a",
        "a_1",
        "layer/add",
        "layer_1/add",
        "layer_1/inner/add",
    ]
    assert (first, second) == ("layer", "layer_1")
    assert graph["layer/add"] is c
    assert graph["a_1:0"] is b
    with pytest.raises(GraphError, match="no tensor 'nothing'"):
        graph["nothing"]


def test_a_node_remembers_the_line_that_made_it():
    node = dl.constant(1.0) + 2.0
    assert "test_graph.py:" in str(node.source)
    with dl.source(Key("model", "layers", 2)):
        assert (node * 2.0).source == Key("model", "layers", 2)


def test_errors_name_op_specs_and_place():
    x = dl.placeholder("float32", ("batch", 784), "x")
    w = dl.placeholder("float32", (100, 10), "w")
    with pytest.raises(
        GraphError, match=r"matmul\(x float32\[batch, 784\], w float32\[100, 10\]\): .*test_graph.py:\d+: "
    ):
        x @ w
    with pytest.raises(GraphError, match=r"add\(.*\): .*: shapes .* do not broadcast: batch against 100"):
        x[:, 0] + w[:, 0]


def test_python_values_get_the_default_dtypes():
    assert dl.constant(1.5).dtype == "float32"
    assert dl.constant(np.arange(3, dtype=">f4")).dtype == "float32"
    assert dl.constant(2).dtype == "int64"
    assert dl.constant(True).dtype == "bool"
    assert dl.constant(np.float64(1.5)).dtype == "float64"
    assert dl.constant(np.arange(3, dtype="int32")).dtype == "int64"


def test_numbers_adopt_the_dtype_of_the_tensor():
    x = dl.placeholder("float64", ("batch",))
    assert (2 * x + 1.5).dtype == "float64"
    assert (np.ones(1) * x).dtype == "float64"
    with pytest.raises(GraphError, match="dtypes float64 and float32 do not mix"):
        x + dl.constant(1.0)


@pytest.mark.parametrize("dtype", ["float16", "complex64", "object", "nonsense", "int32"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(GraphError, match="dtype"):
        dl.placeholder(dtype, ())


@pytest.mark.parametrize("shape", [(None, 3), (-1,), ("",), (1.5,), (True,)])
def test_other_dimensions_are_refused(shape):
    with pytest.raises(
        GraphError, match=r"not a dimension: .*; give a size from 0 up, or a name such as .batch."
    ):
        dl.placeholder("float32", shape)


def test_variables_have_sizes_only():
    x = dl.placeholder("float32", ("batch",))
    with pytest.raises(GraphError, match="named dimension"):
        dl.Variable(x)


def test_a_weight_is_what_is_trained_and_of_rank_2_or_more():
    shapes = {(): False, (3,): False, (3, 1): True, (2, 3, 4): True}
    assert {shape: dl.Variable(np.zeros(shape)).is_weight for shape in shapes} == shapes
    assert not dl.Variable(np.zeros((3, 3)), trainable=False).is_weight


def test_a_constant_does_not_follow_its_array():
    array = np.ones(2, "float32")
    node = dl.constant(array)
    array[:] = 7
    np.testing.assert_array_equal(dl.Session().run(node), [1, 1])


def test_tensors_have_no_truth_and_no_iterator():
    x = dl.placeholder("float32", (3,))
    with pytest.raises(GraphError, match="has no value while the graph is built"):
        bool(x > 0)
    with pytest.raises(GraphError, match="cannot be iterated over"):
        list(x)


def test_graphs_do_not_mix():
    x = dl.constant(1.0)
    with dl.Graph():
        y = dl.constant(2.0)
        with pytest.raises(GraphError, match="another graph"):
            dl.add(x, y)


def test_the_default_graph_can_be_reset_outside_of_blocks_only():
    with pytest.raises(GraphError, match="inside"):
        dl.reset_default_graph()


def test_many_nodes_of_one_name_stay_cheap(graph):
    x = dl.constant(1.0)
    for _ in range(20_000):
        x = -x
    assert x.name == "negative_19999"
    assert len(graph.nodes) == 20_001


def test_graphs_nest():
    with dl.Graph() as outer, dl.Graph() as inner, outer:
        assert dl.default_graph() is outer
    with outer, inner:
        with outer:
            pass
        assert dl.default_graph() is inner


def test_a_tensor_is_no_array():
    x = dl.placeholder("float32", (3,), "x")
    for use in (np.asarray, dl.constant, lambda x: dl.constant([x, 1.0]), lambda x: np.exp(np.array(x))):
        with pytest.raises(GraphError, match=r'Tensor."x:0".* is a tensor of the graph where a value'):
            use(x)


def test_threads_build_graphs_side_by_side():
    """8 threads in step, each within blocks of its own: every node goes to its thread's graph."""
    together = Barrier(8)

    def build(number):
        for _ in range(20):
            with dl.Graph() as graph:
                together.wait()
                x = dl.placeholder("float64", (2,))
                w = dl.Variable(np.full(2, float(number)))
                with dl.name_scope("layer"):
                    loss = dl.sum(dl.square(x * w))
                together.wait()
                (gradient,) = dl.gradients(loss, [w])
                names = {node.name for node in graph.nodes}
                assert {node.graph for node in graph.nodes} == {graph}
                assert {"placeholder", "variable", "layer/multiply", "layer/sum"} <= names
                assert dl.default_graph() is graph
            assert dl.default_graph() is not graph
            value = dl.Session(graph).run(gradient, {x: [1.0, 2.0]})
        return value.tolist()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(build, range(8))) == [[2.0 * number, 8.0 * number] for number in range(8)]


def test_a_new_thread_begins_outside_of_the_blocks_of_others(graph):
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(dl.default_graph).result()
        assert seen is not graph
        assert seen is pool.submit(dl.default_graph).result()
    assert dl.default_graph() is graph
