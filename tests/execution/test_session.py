"""Running graphs: feeds, fetches, updates, state, and the errors of all of them."""

import gc

import numpy as np
import pytest

import dltrain as dl
from dltrain.autodiff.graph import Updates
from dltrain.backends.numpy import NumPy
from dltrain.errors import DivergedError, GraphError


@pytest.fixture(autouse=True)
def graph():
    with dl.Graph() as graph:
        yield graph


def test_the_first_example_of_the_course_prints_what_it_should(capsys):
    node1 = dl.constant(3.0, dtype="float32", name="node1")
    node2 = dl.constant(4.0, dtype="float32", name="node2")
    node3 = dl.add(node1, node2)
    print(node1, node3)
    with dl.Session() as session:
        print("Result:", session.run([node3]))
    assert capsys.readouterr().out == (
        'Tensor("node1:0", shape=(), dtype=float32) Tensor("add:0", shape=(), dtype=float32)\nResult: [7.0]\n'
    )


def test_fetches_come_back_in_the_structure_they_were_asked_for():
    a, b = dl.constant(2.0), dl.constant([1, 2])
    result = dl.Session().run({"sum": [a + a], "pair": (b, a)})
    assert result["sum"] == [4.0]
    assert isinstance(result["pair"], tuple)
    np.testing.assert_array_equal(result["pair"][0], [1, 2])


def test_results_belong_to_the_caller():
    x = dl.placeholder("float32", (3,))
    session, y = dl.Session(), None
    y = x * 2.0
    first = session.run(y, {x: [1, 2, 3]})
    session.run(y, {x: [7, 8, 9]})
    np.testing.assert_array_equal(first, [2, 4, 6])
    first[:] = 0
    np.testing.assert_array_equal(session.run(y, {x: [1, 2, 3]}), [2, 4, 6])


def test_a_fed_array_is_not_changed():
    x = dl.placeholder("float32", (3,))
    fed = np.array([1, 4, 9], "float32")
    dl.Session().run(dl.sqrt(x) + 1.0, {x: fed})
    np.testing.assert_array_equal(fed, [1, 4, 9])


def test_named_dimensions_take_any_size_and_each_size_is_compiled_once():
    x = dl.placeholder("float32", ("batch", 2), "x")
    function = dl.Session().make_callable(dl.sum(x), [x])
    for size in (3, 1, 3, 0):
        assert function(np.ones((size, 2), "float32")) == 2 * size
    assert function.bind(batch=3).plan is function.bind(batch=3).plan


def test_named_dimensions_must_agree():
    x = dl.placeholder("float32", ("batch", 784), "x")
    y = dl.placeholder("float32", ("batch",), "y")
    with pytest.raises(
        GraphError, match=r"batch is 4 in x float32\[batch, 784\] but 3 in y float32\[batch\]"
    ):
        dl.Session().run(dl.sum(x) + dl.sum(y), {x: np.zeros((4, 784)), y: np.zeros(3)})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((2, 3)), r"x is float32\[batch, 2\] but is fed an array of shape \(2, 3\)"),
        (np.zeros(2), r"is fed an array of shape \(2,\)"),
        (np.zeros((1, 2), complex), "complex128 values do not become float32"),
        ([["a", "b"]], "list is neither a tensor nor an array of numbers"),
        ([[1, 2], [3]], "not an array"),
    ],
)
def test_a_feed_that_does_not_fit_is_refused(value, message):
    x = dl.placeholder("float32", ("batch", 2), "x")
    with pytest.raises(GraphError, match=message):
        dl.Session().run(x, {x: value})


def test_floats_are_not_cut_to_integers():
    x = dl.placeholder("int64", (), "x")
    with pytest.raises(GraphError, match="float64 values do not become int64"):
        dl.Session().run(x, {x: 1.5})


def test_a_placeholder_that_is_not_fed_is_named():
    x = dl.placeholder("float32", ("batch",), "images")
    with pytest.raises(GraphError, match=r"placeholder 'images' float32\[batch\] is needed but not fed"):
        dl.Session().run(dl.sum(x), {dl.placeholder("float32", ("batch",)): [1.0]})


@pytest.mark.parametrize("enabled", [True, False])
def test_compiling_leaves_the_garbage_collector_as_it_was(enabled):
    x = dl.placeholder("float32", (), "x")
    was_enabled = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with dl.Session() as session:
            session.run(x + 1.0, {x: 1.0})
            assert gc.isenabled() == enabled
            with pytest.raises(GraphError):
                session.run(x + 1.0)
            assert gc.isenabled() == enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()


def test_any_tensor_can_be_fed_in_place_of_its_own_value():
    x = dl.constant([1.0, 2.0])
    y = x * 3.0
    np.testing.assert_array_equal(dl.Session().run(y + 1.0, {y: [0, 1]}), [1, 2])


def test_fetching_something_else_is_refused():
    with pytest.raises(GraphError, match="cannot be fetched"):
        dl.Session().run("loss")
    with dl.Graph():
        other = dl.constant(1.0)
    with pytest.raises(GraphError, match="no tensor of this session's graph"):
        dl.Session().run(other)


def test_variables_keep_their_values_from_run_to_run():
    w = dl.Variable([1.0, 2.0])
    session = dl.Session()
    update = w.assign(w * 2.0)
    before, nothing = session.run([w, update])
    np.testing.assert_array_equal(before, [1, 2])
    assert nothing is None
    np.testing.assert_array_equal(session.value(w), [2, 4])
    np.testing.assert_array_equal(dl.Session().value(w), [1, 2])


def test_a_variable_may_start_from_another_ones_start():
    a = dl.Variable(dl.constant(3.0) * 2.0)
    b = dl.Variable(a + 1.0)
    session = dl.Session()
    assert session.run([b, a]) == [7.0, 6.0]


def test_variables_made_after_the_first_run_join():
    a = dl.Variable(1.0)
    session = dl.Session()
    session.run(a.assign(5.0))
    b = dl.Variable(2.0)
    assert session.run(a + b) == 7.0


def test_updates_all_read_the_values_before_the_run():
    a, b = dl.Variable([1.0, 2.0], name="a"), dl.Variable([3.0, 4.0], name="b")
    session = dl.Session()
    session.run(a.assign(b) + b.assign(a))
    np.testing.assert_array_equal(session.value(a), [3, 4])
    np.testing.assert_array_equal(session.value(b), [1, 2])
    session.run([a.assign(a + b), b.assign(a - b)])
    np.testing.assert_array_equal(session.value(a), [4, 6])
    np.testing.assert_array_equal(session.value(b), [2, 2])


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda a: a - a[0], lambda x: x - x[0]),
        (lambda a: a - a[99_999], lambda x: x - x[99_999]),
        (
            lambda a: a + dl.reshape(dl.transpose(dl.reshape(a, (250, 400))), (100_000,)),
            lambda x: x + x.reshape(250, 400).T.reshape(-1),
        ),
    ],
)
def test_an_update_may_read_its_variable_at_other_places_than_it_writes(build, expected):
    x = np.arange(100_000, dtype="float32") + 5
    a = dl.Variable(x)
    session = dl.Session()
    session.run(a.assign(build(a)))
    np.testing.assert_array_equal(session.value(a), expected(x))


def test_updates_of_one_variable_twice_or_of_another_spec_are_refused():
    a = dl.Variable([1.0])
    with pytest.raises(GraphError, match="'variable' is updated twice"):
        dl.Session().run([a.assign(a + 1.0), a.assign(a * 2.0)])
    with pytest.raises(GraphError, match=r"'variable' is float32\[1\] but its new value is float32\[2\]"):
        a.assign([1.0, 2.0])


def test_a_guard_that_is_not_finite_leaves_all_variables_as_they_were():
    x = dl.placeholder("float32", (), "x")
    a = dl.Variable([1.0, 2.0])
    b = dl.Variable(0.0)
    loss = dl.log(x)
    session = dl.Session()
    step = session.make_callable([loss, a.assign(a * loss), b.assign(b + 1.0)], [x], require_finite=[loss])
    with pytest.raises(DivergedError, match=r"log is not finite.*it is -inf"):
        step(0.0)
    np.testing.assert_array_equal(session.value(a), [1, 2])
    assert session.value(b) == 0
    step(1.0)
    np.testing.assert_array_equal(session.value(a), [0, 0])
    assert session.value(b) == 1


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("size", [1, 100, 16_384, 50_000])
def test_a_guard_is_finite_where_all_of_its_numbers_are(size, kernels):
    x = dl.placeholder("float32", (size,), "x")
    count = dl.Variable(0.0)
    session = dl.Session(kernels=kernels)
    step = session.make_callable(count.assign(count + 1.0), [x], require_finite=[x * 1.0])
    step(np.full(size, 1e30, "float32"))  # whose squares are not
    assert session.value(count) == 1
    for place in {0, size // 3, size - 1}:
        for bad in (np.nan, np.inf, -np.inf):
            values = np.ones(size, "float32")
            values[place] = bad
            with pytest.raises(DivergedError, match=r"not finite: .*some of its elements are nan or inf"):
                step(values)
    assert session.value(count) == 1


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (2, 3, 4), (150, 160), (3, 0)])
def test_a_guard_may_have_any_number_of_dimensions(shape, kernels):
    x = dl.placeholder("float32", shape, "x")
    y = x * 2.0
    step = dl.Session(kernels=kernels).make_callable(dl.sum(y), [x], require_finite=[y])
    values = np.ones(shape, "float32")
    assert step(values) == 2 * values.size
    for bad in (np.nan, np.inf, -np.inf) if values.size else ():
        values.flat[-1] = bad
        with pytest.raises(DivergedError, match=r"not finite: .*some of its elements are nan or inf"):
            step(values)


@pytest.mark.parametrize("updated", ["variable", "value", "guard"])
def test_updates_of_another_graph_are_refused(updated):
    mine = dl.Variable([1.0, 2.0])
    with dl.Graph():
        other = dl.Variable([3.0, 4.0])
    pair = {"variable": (other, mine), "value": (mine, other), "guard": (mine, mine)}[updated]
    updates = Updates([pair], guards=[other] if updated == "guard" else [])
    session = dl.Session()
    for run in (session.run, session.make_callable):
        with pytest.raises(GraphError, match="no tensor of this session's graph"):
            run(updates)


@pytest.mark.parametrize("error", [MemoryError("no 8 GiB"), OSError(5, "Input/output error")])
def test_the_systems_errors_in_a_kernel_pass_as_they_are(error, monkeypatch):
    """They are no fault of the graph: the command line gives them exit code 7."""

    def refuse(self, *inputs, out):
        raise error

    matrix = dl.Variable(np.ones((2, 2)))
    product = matrix @ matrix
    monkeypatch.setattr(type(product.op), "compute", refuse)
    session = dl.Session(kernels="numpy")
    with pytest.raises(type(error)) as caught:
        session.run([matrix.assign(product * 0.0), product])
    assert caught.value is error
    np.testing.assert_array_equal(session.value(matrix), np.ones((2, 2)))


def test_a_kernel_that_refuses_its_input_names_the_op_and_commits_nothing():
    table = dl.Variable([1.0, 2.0])
    index = dl.placeholder("int64", (1,), "index")
    session = dl.Session()
    with pytest.raises(
        GraphError, match=r"gather\(variable float32\[2\], index int64\[1\]\): .*test_session.py"
    ):
        session.run([dl.gather(table, index), table.assign(table * 0.0)], {index: [5]})
    np.testing.assert_array_equal(session.value(table), [1, 2])


def test_an_index_beyond_a_named_dimension_is_refused_once_its_size_is_known():
    x = dl.placeholder("float32", ("batch",), "x")
    with pytest.raises(GraphError, match=r"slice\(x float32\[3\]\): .*test_session.py"):
        dl.Session().run(x[5] * 2.0, {x: [1, 2, 3]})


def test_bound_functions_run_on_what_their_inputs_hold():
    x = dl.placeholder("float32", ("batch",))
    bound = dl.Session().make_callable(dl.sum(x), [x]).bind(batch=3)
    bound.inputs[0][:] = [1, 2, 3]
    assert bound() == 6.0
    with pytest.raises(GraphError, match="no size"):
        dl.Session().make_callable(dl.sum(x), [x]).bind()


def test_state_goes_from_one_session_to_another():
    a = dl.Variable([1.0, 2.0], name="a")
    session, other = dl.Session(), dl.Session()
    session.run(a.assign(a * 3.0))
    other.load_state(session.state())
    np.testing.assert_array_equal(other.value(a), [3, 6])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("a"), "no value for variable 'a'"),
        (lambda state: state.update(z=np.zeros(1)), "no variable is called 'z'"),
        (
            lambda state: state.update(a=np.zeros(3, "float32")),
            r"'a' is float32\[2\] but its value float32\[3\]",
        ),
        (lambda state: state.update(a=np.zeros(2)), r"'a' is float32\[2\] but its value float64\[2\]"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    a, b = dl.Variable([1.0, 2.0], name="a"), dl.Variable(1.0, name="b")
    session = dl.Session()
    state = session.state() | {"b": np.float32(9)}
    change(state)
    with pytest.raises(GraphError, match=message):
        session.load_state(state)
    assert session.value(b) == 1
    np.testing.assert_array_equal(session.value(a), [1, 2])


def test_assign_gives_a_value_of_the_same_shape():
    a = dl.Variable([1.0, 2.0])
    session = dl.Session()
    session.assign(a, [5, 6])
    np.testing.assert_array_equal(session.value(a), [5, 6])
    with pytest.raises(GraphError, match="the value's shape"):
        session.assign(a, [5, 6, 7])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"passes": frozenset({"inline"})}, "unknown pass 'inline'"),
        ({"kernels": "cuda"}, "unknown kernels 'cuda'; use one of numpy, native, auto"),
        ({"threads": 0}, "threads=0: none would compute"),
        ({"threads": 1.5}, "threads is a whole number, not 1.5"),
        ({"backends": ["numpy"]}, "'numpy' is no backend"),
        ({"backends": [NumPy]}, "NumPy'> is no backend; give objects"),
    ],
    ids=str,
)
def test_a_session_of_wrong_arguments_is_refused(arguments, message):
    with pytest.raises(GraphError, match=message):
        dl.Session(**arguments)


def test_a_tensor_of_a_loops_body_is_no_fetch():
    states = []
    dl.scan(lambda s, _: (states.append(s) or s, None), 0.0, length=3)
    with pytest.raises(GraphError, match="no tensor of this session's graph: it is of the body of a loop"):
        dl.Session().run(states[0])
