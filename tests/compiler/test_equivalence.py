"""Random graphs give the same bits whatever passes are left out, but for those that round.

With native kernels all are the same to rounding.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dltrain as dl
from dltrain.backends.c.compiler import find_compiler
from dltrain.compiler.planning import PASSES

SAME_BITS = PASSES - {"reassociate", "fuse_reductions"}
ROWS, COLUMNS = 40, 700  # more than one tile

UNARY = (
    lambda x: dl.tanh(x),
    lambda x: -x,
    lambda x: dl.relu(x),
    lambda x: dl.elu(x),
    lambda x: dl.sigmoid(x) * 1.0,
    lambda x: dl.where(x > 0.0, x, 0.5 * x),
    lambda x: x - dl.mean(x, axis=0),
    lambda x: x - dl.max(x, axis=1, keepdims=True),
    lambda x: dl.softmax(x),
    lambda x: dl.reshape(dl.reshape(x, (ROWS * COLUMNS,)), x.shape),
    lambda x: dl.transpose(dl.transpose(x) * 2.0),
    lambda x: dl.concat([x[:, 3:], x[:, :3]], axis=1),
    lambda x: x + x[0:1],
    lambda x: dl.silu(x),
)
BINARY = (
    lambda x, y: x + y,
    lambda x, y: x * y,
    lambda x, y: dl.maximum(x, y),
    lambda x, y: dl.where(x < y, x, y * 0.5),
    lambda x, y: dl.tanh(x @ dl.transpose(y)) @ x * 0.01,
    lambda x, y: x - dl.sum(y, axis=0) * 1e-3,
)


def build(program):
    """Nodes by applying each of (op, first, second) to earlier nodes; three variables are updated."""
    rng = np.random.default_rng(0)
    x = dl.placeholder("float64", (ROWS, COLUMNS), "x")
    variables = [dl.Variable(rng.normal(size=(ROWS, COLUMNS)), name=f"v{i}") for i in range(3)]
    nodes = [x, *variables]
    for kind, first, second in program:
        a, b = nodes[first % len(nodes)], nodes[second % len(nodes)]
        a, b = dl.reshape(a, (ROWS, COLUMNS)), dl.reshape(b, (ROWS, COLUMNS))
        op = (UNARY + BINARY)[kind % (len(UNARY) + len(BINARY))]
        nodes.append(op(a) if kind % (len(UNARY) + len(BINARY)) < len(UNARY) else op(a, b))
    loss = dl.mean(dl.tanh(nodes[-1])) + dl.mean(nodes[-2] * nodes[-2])
    gradients = dl.gradients(loss, variables)
    used = [(v, g) for v, g in zip(variables, gradients, strict=True) if g is not None]
    updates = dl.Updates([])
    if used:
        flat = dl.pack([v for v, _ in used]) - 0.1 * dl.pack([g for _, g in used])
        size = ROWS * COLUMNS
        updates = dl.Updates(
            [(v, dl.reshape(flat[i * size : (i + 1) * size], v.shape)) for i, (v, _) in enumerate(used)]
        )
    return x, variables, [loss, *nodes[1::3], dl.argmax(nodes[-1], axis=1)], updates


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=12)
)
def test_random_graphs(program):
    with dl.Graph():
        x, variables, fetches, updates = build(program)
        fed = np.random.default_rng(1).normal(size=(ROWS, COLUMNS))
        expected = None
        for passes in [frozenset(), SAME_BITS, *(SAME_BITS - {name} for name in sorted(SAME_BITS))]:
            session = dl.Session(passes=passes)
            results = [session.run([fetches, updates], {x: fed}) for _ in range(2)]
            bits = [np.asarray(result).tobytes() for result in results[1][0]]
            bits += [session.value(variable).tobytes() for variable in variables]
            expected = expected or bits
            assert bits == expected, f"passes {sorted(passes)}"
        plain = dl.Session(passes=SAME_BITS).run(fetches[:-1], {x: fed})
        for value, wanted in zip(dl.Session().run(fetches[:-1], {x: fed}), plain, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=8)
)
def test_random_graphs_natively(program):
    with dl.Graph():
        x, _, fetches, updates = build(program)
        fed = np.random.default_rng(1).normal(size=(ROWS, COLUMNS))
        plain = dl.Session(passes=frozenset()).run(fetches[:-1], {x: fed})
        for passes in (frozenset(), PASSES, PASSES - {"fuse_reductions"}):
            values, _ = dl.Session(passes=passes, kernels="native").run([fetches[:-1], updates], {x: fed})
            for value, wanted in zip(values, plain, strict=True):
                np.testing.assert_allclose(value, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", sorted(PASSES))
def test_each_pass_can_be_named(name):
    with dl.Graph():
        assert dl.Session(passes=PASSES - {name}).run(dl.constant(1.0) + 1.0) == 2.0
