"""Each pass of the compiler: what it does to the plan, and that the results stay."""

import numpy as np
import pytest

import dltrain as dl
from dltrain.compiler.planning import PASSES


@pytest.fixture(autouse=True)
def graph():
    with dl.Graph() as graph:
        yield graph


def plan(fetches, inputs=(), passes=PASSES, **sizes):
    return dl.Session(passes=passes).make_callable(fetches, inputs).bind(**sizes).plan


def computed(plan):
    return [node.op.label for call in plan.compute for node in call.nodes]


def committed(plan):
    return [node.op.label for call in plan.commit for node in call.nodes]


def only(*names):
    return frozenset(names)


def test_what_is_not_needed_is_left_out():
    x = dl.placeholder("float32", (3,))
    y, _ = dl.sqrt(x), dl.exp(x)
    assert computed(plan(y, [x], only())) == ["sqrt"]


def test_constants_are_folded():
    x = dl.placeholder("float32", (3,))
    y = x * (dl.constant(2.0) * 3.0 + 1.0)
    assert computed(plan(y, [x], only("fold_constants"))) == ["multiply"]
    assert computed(plan(y, [x], only())) == ["multiply", "add", "multiply"]


def test_the_size_of_a_named_dimension_is_folded_once_it_is_bound():
    x = dl.placeholder("float32", ("batch", 3))
    (gradient,) = dl.gradients(dl.mean(x), [x])
    bound = plan(gradient, [x], only("fold_constants"), batch=5)
    assert "size" not in computed(bound)
    np.testing.assert_allclose(bound.run()[0], np.full((5, 3), 1 / 15), rtol=1e-6)


def test_folding_does_not_make_large_constants_of_small_ones():
    ones = dl.broadcast_to(dl.constant(1.0), (1000, 1000))
    x = dl.placeholder("float32", (1000, 1000))
    bound = plan(x + dl.exp(ones), [x], PASSES)
    assert bound.bytes < 4.2e6


def test_a_loop_makes_only_what_is_read():
    x, y = dl.placeholder("float32", (3,)), dl.placeholder("float32", (3,))

    def body(states, elements):
        (a, b, c), (e, f) = states, elements
        return (a + e, b * f + a, c + b), (a, b)

    (last, _, _), (seen, _) = dl.scan(body, (0.0, 1.0, 2.0), (dl.sin(x), dl.exp(y)))
    assert computed(plan([last, seen], [x, y], only("prune"))) == ["sin", "scan", "output"]
    assert computed(plan([last, seen], [x, y], only()))[:3] == ["sin", "exp", "scan"]


def test_a_loop_adds_up_no_gradient_that_was_not_asked_for():
    x, w = dl.placeholder("float32", (3,)), dl.placeholder("float32", ())
    last, _ = dl.scan(lambda a, e: (dl.sin(a * w + e), None), 0.0, x)
    of_x, of_w = dl.gradients(last, [x, w])
    states = [
        [
            len(node.op.body.states)
            for call in plan(g, [x, w]).compute
            for node in call.nodes
            if node.op.family
        ]
        for g in (of_x, of_w)
    ]
    assert states == [[1, 1], [1, 2]]


def test_random_values_are_not_merged_but_equal_ops_are():
    x = dl.placeholder("float32", (3,))
    assert computed(plan(dl.exp(x) + dl.exp(x), [x], only("merge"))) == ["exp", "add"]
    a, b = dl.random_uniform((3,)), dl.random_uniform((3,))
    assert computed(plan(a + b, [], only("merge"))) == ["random_uniform", "random_uniform", "add"]


def test_placeholders_and_variables_of_one_spec_are_not_merged():
    x, y = dl.placeholder("float32", ()), dl.placeholder("float32", ())
    v, w = dl.Variable(1.0), dl.Variable(2.0)
    function = dl.Session().make_callable([x - y, v - w], [x, y])
    assert function(5.0, 3.0) == [2.0, -1.0]


def test_equal_constants_of_other_dtypes_or_signs_are_not_merged():
    zero, minus_zero = dl.constant(0.0), dl.constant(-0.0)
    result = dl.Session().run([1.0 / zero, 1.0 / minus_zero], {})
    assert result == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("build", "remaining"),
    [
        (lambda x: x * 1.0, []),
        (lambda x: 1.0 * x, []),
        (lambda x: x / 1.0, []),
        (lambda x: x**1.0, []),
        (lambda x: x - 0.0, []),
        (lambda x: x + 0.0, ["add"]),  # -0.0 + 0.0 is 0.0
        (lambda x: x - dl.constant(-0.0), ["subtract"]),
        (lambda x: x * dl.constant([[1.0]]), ["multiply"]),  # another shape
        (lambda x: dl.negative(dl.negative(x)), []),
        (lambda x: dl.cast(x, "float32"), []),
        (lambda x: dl.stop_gradient(x), []),
        (lambda x: dl.reshape(dl.reshape(x, (3, 4)), (12,)), []),
        (lambda x: dl.broadcast_to(dl.constant(2.0), (12,)) * x, ["multiply"]),
    ],
)
def test_rewriting(build, remaining):
    x = dl.placeholder("float32", (12,))
    y = build(x)
    values = np.linspace(-2, 2, 12, dtype="float32")
    values[3] = -0.0
    rewritten = plan(y, [x], only("rewrite"))
    assert [label for label in computed(rewritten) if label not in ("reshape", "broadcast_to")] == remaining
    results = []
    for bound in (rewritten, plan(y, [x], only())):
        bound.inputs[0][:] = values
        results.append(bound.run()[0])
    assert results[0].tobytes() == results[1].tobytes()


@pytest.mark.parametrize(
    ("build", "remaining"),
    [
        (lambda x, a, b: x * a * b, ["multiply", "multiply"]),
        (lambda x, a, b: a * (x / b), ["divide", "multiply"]),
        (lambda x, a, b: x / a / b, ["multiply", "divide"]),
        (lambda x, a, b: x * a / b * a, ["multiply", "divide", "multiply"]),
        (lambda x, a, b: a * b * x, ["multiply", "multiply"]),
        (lambda x, a, b: a / x / b, ["divide", "divide"]),
        (lambda x, a, b: x * a * x * b, ["multiply"] * 3),
    ],
)
def test_numbers_that_scale_an_array_are_joined(build, remaining):
    x, a, b = dl.placeholder("float64", (3,)), dl.placeholder("float64"), dl.placeholder("float64")
    y = build(x, a, b)
    compiled = plan(y, [x, a, b], only("reassociate"))
    assert sorted(computed(compiled)) == sorted(remaining)
    fed = {x: [1.0, -2.0, 3.0], a: 0.3, b: 7.0}
    np.testing.assert_allclose(dl.Session().run(y, fed), dl.Session(passes=only()).run(y, fed), rtol=1e-15)


def test_what_is_scaled_and_used_elsewhere_is_not_joined():
    x, a = dl.placeholder("float32", (3,)), dl.placeholder("float32")
    scaled = x * a
    assert computed(plan([scaled * a, scaled], [x, a], only("reassociate"))) == ["multiply", "multiply"]


def test_elementwise_runs_become_groups_of_tiles():
    x = dl.placeholder("float32", ("n",))
    y = dl.sqrt(dl.square(x) + 1.0)
    grouped = plan(y, [x], only("group_elementwise"), n=200_000)
    assert computed(grouped)[:6] == ["square", "add", "sqrt"] * 2
    assert len(computed(grouped)) == 3 * 4
    assert len(computed(plan(y, [x], only(), n=200_000))) > 6  # tiled one by one


def test_a_node_that_a_group_does_not_need_stands_before_it():
    x, w = dl.placeholder("float32", (4, 4)), dl.placeholder("float32", (4, 4))
    y = dl.exp(x) * (x @ w) + 1.0
    assert computed(plan(y, [x, w], only("group_elementwise"))) == ["matmul", "exp", "multiply", "add"]
    z = dl.exp(x)
    needs = z * (z @ w)
    assert computed(plan(needs, [x, w], only("group_elementwise"))) == ["exp", "matmul", "multiply"]


def test_memory_is_shared_by_values_that_do_not_live_together():
    x = dl.placeholder("float32", (1000, 100))
    y = x
    for _ in range(50):
        y = dl.exp(dl.transpose(dl.transpose(y)) @ dl.constant(np.eye(100, dtype="float32")))
    shared, own = plan(y, [x], only("share_memory")), plan(y, [x], only())
    assert own.bytes >= 100 * 400_000
    assert shared.bytes < 4 * 400_000


def test_what_is_packed_is_computed_in_place():
    x, w = dl.placeholder("float32", (4, 4)), dl.placeholder("float32", (4, 4))
    packed = dl.pack([x @ w, w @ x, dl.exp(x)])
    assert computed(plan(packed, [x, w])) == ["matmul", "matmul", "exp"]
    assert computed(plan(packed, [x, w], only())).count("copy") == 3


def test_packed_variables_are_their_own_memory():
    a, b = dl.Variable(np.ones((2, 2), "float32")), dl.Variable(np.zeros(3, "float32"))
    packed = dl.pack([a, b]) * 2.0
    assert computed(plan(packed)) == ["multiply"]
    reordered = dl.pack([b, a]) * 2.0
    assert computed(plan(reordered)) == ["copy", "copy", "multiply"]
    np.testing.assert_array_equal(dl.Session().run(reordered), [0, 0, 0, 2, 2, 2, 2])


def test_what_is_concatenated_along_the_first_axis_is_computed_in_place():
    x, w = dl.placeholder("float32", (4, 4)), dl.placeholder("float32", (4, 4))
    assert computed(plan(dl.concat([x @ w, dl.exp(x)]), [x, w])) == ["matmul", "exp"]
    beside = plan(dl.concat([x @ w, dl.exp(x)], axis=1), [x, w])
    assert computed(beside) == ["matmul", "copy", "exp", "copy"]  # these three are one group
    assert len(beside.compute[-1].group) == 3
    for bound in (beside, plan(dl.concat([x @ w, dl.exp(x)], axis=1), [x, w], only())):
        bound.inputs[0][:], bound.inputs[1][:] = np.arange(16).reshape(4, 4) / 16, np.eye(4)
        x_value = bound.inputs[0].copy()
        np.testing.assert_allclose(bound.run()[0], np.hstack([x_value, np.exp(x_value)]), rtol=1e-6)


def test_a_view_of_what_a_group_computes_does_not_end_it():
    x = dl.placeholder("float32", (6,))
    y = dl.exp(x)
    assert len(plan([y[3:], y * 2.0], [x]).compute[0].group) == 2


def test_gradients_of_slices_are_sums_of_stretches():
    x = dl.placeholder("float64", (6,))
    loss = dl.sum(dl.square(x[1:]) * x[:-1] + x[2:3] * x[4])
    (gradient,) = dl.gradients(loss, [x])
    bound = plan(gradient, [x])
    assert "unslice" not in computed(bound)
    assert "unslice" in computed(plan(gradient, [x], only()))
    value = np.linspace(-1, 2, 6)
    bound.inputs[0][:] = value
    expected = np.append(value[1:] ** 2, 0) + np.append(0, 2 * value[1:] * value[:-1])
    expected[2] += 5 * value[4]
    expected[4] += 5 * value[2]
    np.testing.assert_allclose(bound.run()[0], expected, rtol=1e-14)


def momentum_step():
    """Two parameters updated as one vector, with a slot; returns the parameters, the slot and the update."""
    a, b = dl.Variable(np.ones((20, 10), "float32")), dl.Variable(np.zeros(30_000, "float32"))
    slot = dl.Variable(np.ones(30_200, "float32"), trainable=False)
    new_slot = slot * 0.5 + 1.0
    new = dl.pack([a, b]) - new_slot * 0.1
    updates = dl.Updates([(slot, new_slot), (a, dl.reshape(new[:200], (20, 10))), (b, new[200:])])
    return a, b, slot, new, updates


def test_an_update_of_a_whole_vector_is_written_where_the_variables_are():
    a, b, slot, _, updates = momentum_step()
    bound = plan(updates)
    assert computed(bound) == []
    assert set(committed(bound)) == {"multiply", "add", "subtract"}
    session = dl.Session()
    for _ in range(2):
        session.run(updates)
    slot_value = np.float32(1.75)
    np.testing.assert_array_equal(session.value(slot), np.full(30_200, slot_value))
    np.testing.assert_allclose(session.value(a), np.full((20, 10), 1 - 0.15 - 0.175), rtol=1e-6)
    np.testing.assert_allclose(session.value(b), np.full(30_000, -0.325), rtol=1e-6)


def test_a_new_value_that_is_also_fetched_is_not_written_directly():
    a, _, _, new, updates = momentum_step()
    bound = plan([new, updates])
    assert "subtract" in computed(bound)
    session = dl.Session()
    fetched, _ = session.run([new, updates])
    np.testing.assert_array_equal(fetched[:200].reshape(20, 10), session.value(a))


def test_groups_that_read_what_others_write_are_not_written_directly():
    a, b = dl.Variable(np.ones((3, 4), "float32")), dl.Variable(np.ones(12, "float32"))
    updates = a.assign(a + dl.reshape(b, (3, 4))) + b.assign(b * 2.0 + dl.reshape(a, (12,)))
    session = dl.Session()
    session.run(updates)
    session.run(updates)
    np.testing.assert_array_equal(session.value(a), np.full((3, 4), 5))
    np.testing.assert_array_equal(session.value(b), np.full(12, 8))
