"""Loops: the same values and derivatives as their turns written out, compiled once whatever the length."""

from typing import NamedTuple

import numpy as np
import pytest

import dltrain as dl
from dltrain.compiler.planning import PASSES
from dltrain.errors import GraphError
from dltrain.inspection.plan import operations_of

HIDDEN = 3


def lstm_cell(w, u, b, hidden=HIDDEN):
    """Hochreiter and Schmidhuber 1997, with forget gates (Gers et al. 2000)."""

    def cell(states, x):
        h, c = states
        z = x @ w + h @ u + b
        i, f, g, o = (z[:, k * hidden : (k + 1) * hidden] for k in range(4))
        c = dl.sigmoid(f) * c + dl.sigmoid(i) * dl.tanh(g)
        h = dl.sigmoid(o) * dl.tanh(c)
        return (h, c), h

    return cell


def written_out(body, states, sequence, turns):
    outputs = {}
    for t in turns:
        states, outputs[t] = body(states, sequence[t])
    return states, [outputs[t] for t in sorted(outputs)]


@pytest.fixture
def lstm():
    """Cell, first states, sequence, what to differentiate in, feeds; float64, 6 turns of a batch of 2."""
    random = np.random.default_rng(0)
    with dl.Graph():
        x = dl.placeholder("float64", (6, "batch", 4), "x")
        first = tuple(dl.placeholder("float64", ("batch", HIDDEN), name) for name in ("h", "c"))
        shapes = (4, 4 * HIDDEN), (HIDDEN, 4 * HIDDEN), (4 * HIDDEN,)
        w, u, b = (dl.Variable(random.normal(size=shape), name="w") for shape in shapes)
        feeds = {
            x: random.normal(size=(6, 2, 4)),
            **{state: random.normal(size=(2, HIDDEN)) for state in first},
        }
        yield lstm_cell(w, u, b), first, x, [w, u, b, x, *first], feeds


def loss_of(last, outputs):
    total = sum((dl.sum(output * output) for output in outputs[1:]), dl.sum(outputs[0] * outputs[0]))
    return total + dl.sum(dl.sin(last[1]))


def assert_same(session, found, expected, feeds):
    for a, b in zip(session.run(found, feeds), session.run(expected, feeds), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kernels", ["numpy", "native"])
@pytest.mark.parametrize(
    "options", [{}, {"reverse": True}, {"checkpoint": 2}, {"checkpoint": 3, "reverse": True}]
)
def test_an_lstm_is_its_turns_written_out(lstm, options, kernels):
    cell, first, x, wrt, feeds = lstm
    last, hs = dl.scan(cell, first, x, **options)
    assert hs.shape == (6, "batch", HIDDEN)
    turns = reversed(range(6)) if options.get("reverse") else range(6)
    expected_last, expected = written_out(cell, first, x, turns)
    loss, expected_loss = loss_of(last, [hs[t] for t in range(6)]), loss_of(expected_last, expected)
    session = dl.Session(kernels=kernels)
    assert_same(session, [*last, loss], [*expected_last, expected_loss], feeds)
    slopes, expected_slopes = dl.gradients(loss, wrt), dl.gradients(expected_loss, wrt)
    assert_same(session, slopes, expected_slopes, feeds)
    bends, expected_bends = (
        dl.gradients(sum((dl.sum(g * g) for g in some[1:]), dl.sum(some[0] * some[0])), wrt)
        for some in (slopes, expected_slopes)
    )
    assert_same(session, bends, expected_bends, feeds)


@pytest.mark.parametrize(
    "passes", [frozenset(), *(PASSES - {name, "reassociate"} for name in sorted(PASSES))]
)
def test_no_pass_changes_the_bits(lstm, passes):
    cell, first, x, wrt, feeds = lstm
    last, hs = dl.scan(cell, first, x)
    fetches = [hs, *dl.gradients(dl.sum(hs * hs) + dl.sum(last[1]), wrt)]
    plain = dl.Session(passes=PASSES - {"reassociate"}, kernels="numpy").run(fetches, feeds)
    found = dl.Session(passes=passes, kernels="numpy").run(fetches, feeds)
    assert [value.tobytes() for value in found] == [value.tobytes() for value in plain]


def plan_of(length, hidden=HIDDEN, batch=2, kernels="native", **options):
    with dl.Graph():
        x = dl.placeholder("float32", (length, batch, hidden), "x")
        w, u, b = (dl.Variable(np.ones((*rows, 4 * hidden), "f")) for rows in ((hidden,), (hidden,), ()))
        zeros = dl.constant(np.zeros((batch, hidden), "f"))
        _, hs = dl.scan(lstm_cell(w, u, b, hidden), (zeros, zeros), x, **options)
        loss = dl.mean(dl.square(hs))
        program = dl.Program((x,), (loss, *dl.gradients(loss, [w, u, b])))
        return dl.Session(kernels=kernels).compile(program).bind().plan


def test_the_plan_does_not_depend_on_the_length():
    short, long = plan_of(5), plan_of(500)
    labels = [[node.op.label for node in call.nodes] for call in short.compute]
    assert labels == [[node.op.label for node in call.nodes] for call in long.compute]
    assert [call.function for call in short.compute] == [call.function for call in long.compute]


def test_the_loop_and_the_one_of_its_derivative_are_two():
    labels = [node.op.label for call in plan_of(5).compute for node in call.nodes]
    assert labels.count("scan") == 2


@pytest.mark.parametrize("options", [{}, {"reverse": True}])
def test_the_derivative_of_an_lstm_takes_little_more_than_its_states_and_gates(options):
    """Two states and four gates a turn. NumPy's kernels make the squares of all outputs, a seventh stack."""
    turn = 6 * 64 * 128 * 4
    for length in (50, 200):
        assert plan_of(length, 128, 64, **options).bytes <= 1.2 * length * turn
    few, many = (plan_of(length, 128, 64, kernels="numpy", **options).bytes for length in (50, 200))
    assert many - few <= 1.2 * 150 * turn


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"checkpoint": 3}])
def test_what_outputs_are_weighed_with_may_be_any(lstm, options):
    """The same in all turns, of a turn each, or computed from other outputs."""
    cell, first, x, wrt, feeds = lstm
    with x.graph:
        weight = dl.placeholder("float64", ("batch", HIDDEN), "weight")
        row, times = (
            dl.placeholder("float64", (1, 1, HIDDEN), "row"),
            dl.placeholder("float64", (6, 1, 1), "t"),
        )
    random = np.random.default_rng(1)
    feeds |= {
        weight: random.normal(size=(2, HIDDEN)),
        row: random.normal(size=(1, 1, HIDDEN)),
        times: random.normal(size=(6, 1, 1)),
    }

    def body(states, element):
        (h, c), _ = cell(states, element)
        return (h, c), (h, h * c)

    _, (hs, products) = dl.scan(body, first, x, **options)
    for weighed in (
        dl.sin(hs) * weight,
        dl.exp(hs * row) * products,
        hs * times,
        hs * dl.mean(products),
        hs + row,
    ):
        loss = dl.mean(weighed)
        dl.check_gradients(loss, [*wrt[:1], first[0], weight, row, times], feeds)
        (slope,) = dl.gradients(loss, [first[0]])
        dl.check_gradients(dl.sum(slope * slope), [first[1], weight, row, times], feeds)


def test_products_of_elements_leave_the_loop():
    """Of x W one product for all turns, and one for each gradient of W, U: the loops hold the others."""
    labels = [node.op.label for call in plan_of(5).compute for node in call.nodes]
    assert labels.count("matmul") == 3


def test_products_of_elements_and_constants_leave_the_loop():
    with dl.Graph():
        x, w = dl.placeholder("float64", (4, 2, 3), "x"), dl.placeholder("float64", (3, 3), "w")
        first = dl.constant(np.zeros((2, 3)))
        last, _ = dl.scan(lambda s, e: (dl.tanh((e * 0.5 + 1.0) @ w + s), None), first, x)
        function = dl.Session(kernels="numpy").make_callable(last, [x, w])
        feeds = np.random.default_rng(0).normal(size=(4, 2, 3)), np.random.default_rng(1).normal(size=(3, 3))
        expected = np.zeros((2, 3))
        for element in feeds[0]:
            expected = np.tanh((element * 0.5 + 1) @ feeds[1] + expected)
        np.testing.assert_allclose(function(*feeds), expected)
        labels = [node.op.label for call in function.bind().plan.compute for node in call.nodes]
        assert labels.count("matmul") == 1


def test_a_loop_over_constants_is_not_computed_when_it_is_compiled():
    with dl.Graph():
        last, _ = dl.scan(lambda s, _: (s * 1.5, None), dl.constant(np.float64(2.0)), length=5)
        function = dl.Session(kernels="numpy").make_callable(last)
        assert function() == pytest.approx(2 * 1.5**5)
        assert "scan" in [node.op.label for call in function.bind().plan.compute for node in call.nodes]


def test_states_of_any_dtype_and_turns_without_sequences():
    with dl.Graph():
        x = dl.placeholder("float64", (3,), "x")

        def body(states, _):
            numbers, count, seen = states
            return [numbers * 1.5, count + 1, dl.logical_or(seen, dl.greater(numbers[0], 3.0))], (
                count,
                numbers,
            )

        (last, count, seen), (counts, numbers) = dl.scan(body, [x, 0, False], length=4)
        (slope,) = dl.gradients(dl.sum(last) + dl.sum(numbers[2]), [x])
        values = dl.Session().run([last, count, seen, counts, numbers, slope], {x: [1.0, 2.0, 3.0]})
    np.testing.assert_allclose(values[0], np.array([1, 2, 3]) * 1.5**4)
    assert values[1:3] == [4, True]
    np.testing.assert_array_equal(values[3], [0, 1, 2, 3])
    np.testing.assert_allclose(values[4], [np.array([1, 2, 3]) * 1.5**t for t in range(4)])
    np.testing.assert_allclose(values[5], np.full(3, 1.5**4 + 1.5**2))


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_length_may_be_a_name(length):
    with dl.Graph():
        x = dl.placeholder("float64", ("time", 2), "x")
        total, sums = dl.scan(lambda s, e: (s + e * e, s), dl.constant(np.zeros(2)), x)
        (slope,) = dl.gradients(dl.sum(total) + dl.sum(sums), [x])
        fed = np.arange(2.0 * length).reshape(length, 2)
        found = dl.Session().run([total, sums, slope], {x: fed})
    np.testing.assert_allclose(found[0], (fed * fed).sum(axis=0))
    np.testing.assert_allclose(found[1], np.cumsum(fed * fed, axis=0) - fed * fed)
    np.testing.assert_allclose(found[2], 2 * fed * np.arange(length, 0, -1)[:, None])


def test_a_loop_in_a_loop():
    with dl.Graph():
        x = dl.placeholder("float64", (3, 4), "x")
        a = dl.placeholder("float64", (), "a")

        def outer(s, row):
            s, _ = dl.scan(lambda t, e: (dl.sin(t * a + e), None), s, row)
            return s, s

        last, seen = dl.scan(outer, dl.constant(0.5, "float64"), x)
        feeds = {x: np.random.default_rng(0).normal(size=(3, 4)), a: 0.8}
        state, states = 0.5, []
        for row in feeds[x]:
            for element in row:
                state = np.sin(state * 0.8 + element)
            states.append(state)
        np.testing.assert_allclose(dl.Session().run(seen, feeds), states)
        dl.check_gradients(last * last, [x, a], feeds)
        (slope,) = dl.gradients(last * last, [a])
        dl.check_gradients(slope, [x, a], feeds)


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"checkpoint": 2}])
def test_states_may_change_places(options):
    with dl.Graph():
        x = dl.placeholder("float64", (4,), "x")
        a, b = dl.placeholder("float64", (), "a"), dl.placeholder("float64", (), "b")
        (last, _), seen = dl.scan(lambda s, e: ((s[1], s[0] * s[1] + e), s[1]), (a, b), x, **options)
        loss = last * last + dl.sum(seen * seen)
        feeds = {x: np.random.default_rng(0).normal(size=4), a: 0.8, b: -1.1}
        dl.check_gradients(loss, [x, a, b], feeds)
        (slope,) = dl.gradients(loss, [a])
        dl.check_gradients(slope, [x, a, b], feeds)


def newton_root(a, maximum=50):
    """Heron's method for sqrt(a)."""
    return dl.while_loop(
        lambda x: dl.greater(dl.abs(x * x - a), 1e-13),
        lambda x: 0.5 * (x + a / x),
        dl.constant(1.0, "float64"),
        maximum,
    )


@pytest.mark.parametrize("kernels", ["numpy", "native"])
def test_a_loop_until_convergence_has_derivatives(kernels):
    with dl.Graph():
        a = dl.placeholder("float64", (), "a")
        root, count = newton_root(a)
        (slope,) = dl.gradients(root, [a])
        (bend,) = dl.gradients(slope, [a])
        found = dl.Session(kernels=kernels).run([root, count, slope, bend], {a: 2.0})
        np.testing.assert_allclose(found[0], 2**0.5, rtol=1e-12)
        assert 4 <= found[1] <= 6
        np.testing.assert_allclose(found[2:], [0.5 * 2**-0.5, -0.25 * 2**-1.5], rtol=1e-6)


@pytest.mark.parametrize("kernels", ["numpy", "native"])
def test_turns_that_were_not_made_add_nothing_to_second_derivatives(kernels):
    """Of 9 turns 3 are made: a^8."""
    with dl.Graph():
        a = dl.placeholder("float64", (), "a")
        power, _ = dl.while_loop(lambda x: dl.less(x, 10.0), lambda x: x * x, a, 9)
        (slope,) = dl.gradients(power, [a])
        (bend,) = dl.gradients(slope, [a])
        (third,) = dl.gradients(bend, [a])
        found = dl.Session(kernels=kernels).run([power, slope, bend, third], {a: 1.5})
    np.testing.assert_allclose(found, [1.5**8, 8 * 1.5**7, 56 * 1.5**6, 336 * 1.5**5], rtol=1e-12)


def test_it_ends_at_its_maximum_and_before_the_first_turn():
    with dl.Graph():
        a = dl.placeholder("float64", (), "a")
        _, count = newton_root(a, maximum=2)
        session = dl.Session()
        assert session.run(count, {a: 2.0}) == 2
        assert session.run(count, {a: 1.0}) == 0


ERRORS = [
    (
        lambda x: dl.scan(lambda s, e: (s, None), x[0], None),
        "there are no sequences; give sequences of one length",
    ),
    (lambda x: dl.scan(lambda s, e: (s, None), x[0], (x, x[1:])), "they are 3, 2"),
    (lambda x: dl.scan(lambda s, e: s, x[0], x), "scan: the body gives"),
    (lambda x: dl.scan(lambda s, e: (s @ s, None), x, x), "inner dimensions"),
    (
        lambda x: dl.scan(lambda s, e: (dl.sum(s), None), x[0], x),
        "state 0 is float32[2], but the body makes float32[]",
    ),
    (lambda x: dl.scan(lambda s, e: ((s, s), None), x[0], x), "is given 1 states and gives 2"),
    (
        lambda x: dl.scan(lambda s, e: (s, None), x[0], x, checkpoint=2),
        "checkpoint=2 does not divide the length 3",
    ),
    (lambda x: dl.scan(lambda s, e: (s + dl.Variable(1.0), None), x[0], x), "made in the body of a loop"),
    (
        lambda x: dl.while_loop(lambda s: s, lambda s: s, x, 3),
        "the condition is float32[3, 2], and not one bool",
    ),
    (lambda x: dl.scan(lambda s, e: (s, None), x[0], length=-3), "not a dimension: -3"),
    (lambda x: dl.scan(lambda s, e: (s, None), "text", x), "str is neither a tensor nor an array"),
    (lambda x: dl.scan(lambda s, e: (s, {}), x[0], x), "dict is neither a tensor nor an array"),
    (lambda x: dl.scan(lambda s: s, x[0], x), "the body cannot be called: "),
    (
        lambda x: dl.scan(lambda s, e, f: s, x[0], x),
        "missing a required argument: 'f'; give a function of states and elements",
    ),
    (lambda x: dl.scan(None, x[0], x), "None is not a callable object; give a function of states and"),
    (lambda x: dl.scan(lambda s, e: (s, None), x[0], x, checkpoint=1.5), "checkpoint is a whole number"),
    (
        lambda x: dl.while_loop(lambda: True, lambda s: s, x, 3),
        "too many positional arguments; give a function of states",
    ),
    (
        lambda x: dl.while_loop(lambda s: True, lambda a, b: (a, b), (x, x), 3),
        "missing a required argument: 'b'; give a function of states",
    ),
    (lambda x: dl.while_loop(lambda s: dl.less(s, 3.0), lambda s: s, 0.0, -1), "not a dimension: -1"),
]


@pytest.mark.parametrize(("build", "message"), ERRORS, ids=[message[:30] for _, message in ERRORS])
def test_what_does_not_fit_is_found_when_building(build, message):
    with dl.Graph(), pytest.raises(GraphError) as caught:
        build(dl.placeholder("float32", (3, 2), "x"))
    assert message in str(caught.value)
    assert message.startswith("str ") or __file__ in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_body_itself_raises_is_left_as_it_is():
    with dl.Graph(), pytest.raises(TypeError, match=r"'int' has no len\(\)"):
        dl.scan(lambda s, e: (len(5), None), 0.0, length=3)


@pytest.mark.parametrize("kernels", ["numpy", "native"])
def test_a_named_length_is_known_without_elements_and_outputs(kernels):
    with dl.Graph():
        x = dl.placeholder("float32", ("time", 2), "x")
        last, _ = dl.scan(lambda s, _: (s + 1.0, None), 0.0, x)
        unfed, _ = dl.scan(lambda s, _: (s + 1.0, None), 0.0, length="steps")
        session = dl.Session(kernels=kernels)
        assert session.run([last, dl.sum(x)], {x: np.ones((5, 2))}) == [5, 10]
        with pytest.raises(GraphError, match=r"the length steps of scan has no size: .*test_loops.py"):
            session.run(unfed)


def test_states_may_be_a_named_tuple():
    class State(NamedTuple):
        sum: dl.Tensor
        last: dl.Tensor

    with dl.Graph():
        x = dl.constant(np.array([3.0, 4.0, 8.0]))
        zero = dl.constant(np.float64(0))
        last, sums = dl.scan(lambda s, e: (State(s.sum + e, e), s.sum), State(zero, zero), x)
        found = dl.Session().run([last.sum, last.last, sums])
        assert found[:2] == [15, 8]
        assert found[2].tolist() == [0, 3, 7]


def test_random_numbers_of_turns_are_drawn_before_the_loop_or_by_their_number():
    with dl.Graph():

        def noisy(turn, _):
            return turn + 1, dl.random_uniform((2,), step=turn)

        with pytest.raises(GraphError, match=r"random_normal in the body of a loop: .*test_loops.py"):
            dl.scan(lambda s, _: (s, dl.random_normal((2,))), 0, length=3)
        with pytest.raises(GraphError, match="give step= a number that the turns count"):
            dl.scan(lambda s, _: (dl.dropout(s, 0.5), None), dl.constant(np.ones(3)), length=3)
        _, drawn = dl.scan(noisy, 0, length=3)
        assert len(np.unique(dl.Session().run(drawn))) == 6


def test_what_goes_wrong_in_a_turn_names_its_place():
    with dl.Graph():
        x = dl.placeholder("int64", (3,), "x")
        table = dl.constant([1.0, 2.0])
        _, found = dl.scan(lambda s, e: (s, dl.gather(table, e)), 0, x)
        for kernels in ("numpy", "native"):
            with pytest.raises(GraphError, match=r"gather\(.*test_loops.py:.*index 5 is out of range"):
                dl.Session(kernels=kernels).run(found, {x: [0, 1, 5]})


@pytest.mark.parametrize("kernels", ["numpy", "native"])
def test_a_derivative_within_a_body_goes_through_what_it_captures(kernels):
    """Also where that is computed outside, as sin(2 a) is, since no state is in it."""
    with dl.Graph():
        a = dl.placeholder("float64", (3,), "a")

        def body(state, _):
            (slope,) = dl.gradients(dl.sum(dl.sin(a * 2.0) * a * state), [a])
            return state * 0.5 + slope, slope

        last, slopes = dl.scan(body, dl.constant(np.ones(3)), length=3)
        point, state, expected = np.array([0.3, -0.7, 1.1]), np.ones(3), []
        for _ in range(3):
            expected.append(state * (2 * np.cos(2 * point) * point + np.sin(2 * point)))
            state = state * 0.5 + expected[-1]
        session = dl.Session(kernels=kernels)
        np.testing.assert_allclose(session.run(slopes, {a: point}), expected)
        np.testing.assert_allclose(session.run(last, {a: point}), state)
        dl.check_gradients(last, [a], {a: point})


def test_outputs_may_be_what_a_turn_is_given():
    with dl.Graph():
        x, c = dl.placeholder("float64", (4, 3), "x"), dl.placeholder("float64", (3,), "c")
        feeds = {x: np.linspace(0.1, 0.9, 12).reshape(4, 3), c: [0.2, 0.3, 0.4]}
        for checkpoint in (None, 2):
            last, given = dl.scan(
                lambda s, e: (s * c + e * e, (c, e, s)), dl.constant(np.ones(3)), x, checkpoint=checkpoint
            )
            loss = dl.sum(last) + sum(dl.sum(dl.sin(stack) * x) for stack in given)
            dl.check_gradients(loss, [x, c], feeds)


def test_an_inner_loop_may_begin_with_what_is_outside():
    """x -> root of x + c, to its fixed point, whose derivative in c is 1 / (2 x - 1)."""
    with dl.Graph():
        c = dl.placeholder("float64", (), "c")
        one = dl.constant(1.0, "float64")

        def root(square):
            return dl.while_loop(
                lambda r: dl.greater(dl.abs(r * r - square), 1e-14), lambda r: 0.5 * (r + square / r), one, 40
            )[0]

        fixed, _ = dl.while_loop(
            lambda x: dl.greater(dl.abs(x * x - x - c), 1e-13), lambda x: root(x + c), one * 2.0, 90
        )
        (slope,) = dl.gradients(fixed, [c])
        found = dl.Session().run([fixed, slope], {c: 3.0})
        x = (1 + 13**0.5) / 2
        np.testing.assert_allclose(found, [x, 1 / (2 * x - 1)], rtol=1e-9)


def test_the_floating_point_operations_of_a_loop_are_those_of_all_its_turns():
    """One product of [batch, 4] with [4, 4] a turn, in 3 turns of 5."""
    with dl.Graph():
        x, w = dl.placeholder("float32", (5, "batch", 4)), dl.placeholder("float32", (4, 4))
        turns, _ = dl.scan(
            lambda s, _: (dl.scan(lambda h, e: (dl.tanh(h @ w + e), ()), s, x)[0], ()), x[0], length=3
        )
        plan = dl.Session(kernels="numpy").make_callable([turns], [x, w]).bind(batch=2).plan
    assert operations_of(node for call in plan.compute for node in call.nodes) == 3 * 5 * 2 * 2 * 4 * 4


@pytest.mark.parametrize("kernels", ["numpy", "native"])
def test_a_state_may_become_what_is_captured_another_state_or_an_element(kernels):
    with dl.Graph():
        x, w = dl.placeholder("float64", (4, 3), "x"), dl.placeholder("float64", (3,), "w")

        def body(states, element):
            a, b, c, d = states
            return (w, a, element, dl.sin(a * b + c * d)), a * d

        last, outputs = dl.scan(body, (x[0], x[1], w, w * 2.0), x)
        random = np.random.default_rng(0)
        feeds = {x: random.normal(size=(4, 3)), w: random.normal(size=3)}
        a, b, c, d = feeds[x][0], feeds[x][1], feeds[w], feeds[w] * 2.0
        expected = []
        for element in feeds[x]:
            expected.append(a * d)
            a, b, c, d = feeds[w], a, element, np.sin(a * b + c * d)
        session = dl.Session(kernels=kernels)
        for found, value in zip(session.run([*last, outputs], feeds), (a, b, c, d, expected), strict=True):
            np.testing.assert_allclose(found, value)
        loss = dl.sum(dl.sin(outputs)) + dl.sum(last[3])
        dl.check_gradients(loss, [x, w], feeds)
