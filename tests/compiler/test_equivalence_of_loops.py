"""Random graphs of loops, merged dimensions and several outputs: the same bits whatever is left out."""

import numpy as np
import pytest

import dltrain as dl
from dltrain.compiler.planning import PASSES

SAME_BITS = PASSES - {"reassociate", "fuse_reductions"}
BATCH, TIME, TURNS, WIDTH = 3, 5, 4, 4


class SinCos(dl.Op):
    """sin(x) and cos(x)."""

    def infer(self, x):
        return x, x

    def compute(self, x, *, out):
        np.sin(x, out=out[0])
        np.cos(x, out=out[1])

    def gradient(self, node, *upstreams):
        sine, cosine = node.outputs
        terms = [u * d for u, d in zip(upstreams, (cosine, -sine), strict=True) if u is not None]
        return sum(terms[1:], terms[0])


def slope(x, y):
    (found,) = dl.gradients(dl.sum(dl.tanh(x * y)), [x])
    return found


# of two values (batch, WIDTH) and a matrix (WIDTH, WIDTH)
OPS = (
    lambda x, y, w: dl.tanh(x + y),
    lambda x, y, w: x * dl.sigmoid(y) * 0.5,
    lambda x, y, w: dl.where(x < y, x, y * 0.5),
    lambda x, y, w: dl.maximum(x, y) - dl.mean(y, axis=1, keepdims=True),
    lambda x, y, w: dl.concat([x[:, 1:], y[:, :1]], axis=1),
    lambda x, y, w: dl.softmax(x @ w) * y,
    lambda x, y, w: dl.tanh(x @ dl.transpose(y)) @ y * 0.3,
    lambda x, y, w: dl.reshape(dl.reshape(x, (-1, 2)) @ w[:2, :2], x.shape) + y,  # (batch*2, 2)
    lambda x, y, w: dl.reshape(dl.sin(dl.reshape(x, (-1,))), y.shape) * y,
    lambda x, y, w: dl.cumsum(x, axis=1) * 0.5 + y,
    lambda x, y, w: y + x * dl.expand_dims(dl.softmax_cross_entropy(x, dl.argmax(y)), -1),
    lambda x, y, w: SinCos().apply(x)[1] * y,
    lambda x, y, w: sum(SinCos().apply(x), y),
    lambda x, y, w: slope(x, y),
)


class Growth:
    """A graph that grows by random choices.

    Attributes:
        matrices: (WIDTH, WIDTH) each.
        sequence: (time, batch, WIDTH).
    """

    def __init__(self, seed, matrices, sequence):
        self.random = np.random.default_rng(seed)
        self.matrices, self.sequence = matrices, sequence

    def some(self, choices):
        return choices[self.random.integers(len(choices))]

    def grown(self, values, count, depth):
        """The values and `count` more, each of some before; loops lie in loops to the depth."""
        values = list(values)
        for _ in range(count):
            if depth and self.random.random() < 0.4:
                values.append(self.some((self.scan, self.scan, self.while_loop))(values, depth))
            else:
                values.append(self.some(OPS)(self.some(values), self.some(values), self.some(self.matrices)))
        return values

    def scan(self, values, depth):
        captured = [self.some(values), self.some(values)]

        def body(states, element):
            given = [*states, *([] if element is None else [element]), *captured]
            *_, third, second, first = self.grown(given, 3, depth - 1)
            return (dl.tanh(first), states[1] * 0.5 + dl.sin(second)), (third, dl.mean(first, axis=1))

        stack = dl.concat([dl.expand_dims(self.some(values), 0) for _ in range(TURNS)])
        sequence, length = self.some([(None, TURNS), (stack, None), (self.sequence, None)])
        checkpoint = self.some([None, 2]) if sequence is not self.sequence else None
        options = {"length": length, "reverse": self.some([False, True]), "checkpoint": checkpoint}
        (a, b), (c, d) = dl.scan(body, (self.some(values), self.some(values)), sequence, **options)
        ends = [a, b, a * b, dl.mean(c, axis=0) + b, a + dl.expand_dims(dl.sum(d, axis=0), -1)]
        return self.some(ends if sequence is self.sequence else [*ends, c[1] - c[2]])

    def while_loop(self, values, depth):
        captured = self.some(values)
        last, turns = dl.while_loop(
            lambda state: dl.greater(dl.max(dl.abs(state)), 0.4),
            lambda state: dl.sin(self.grown([state, captured], 2, depth - 1)[-1]) * 0.6,
            self.some(values),
            maximum=3,
        )
        return last * dl.stop_gradient(dl.cast(turns, "float64"))


@pytest.mark.parametrize("seed", range(8))
def test_random_loops(seed):
    """The gradient, too, is that of central differences along a random direction."""
    random = np.random.default_rng(1000 + seed)
    with dl.Graph():
        x = dl.placeholder("float64", ("batch", WIDTH), "x")
        sequence = dl.placeholder("float64", ("time", "batch", WIDTH), "sequence")
        shapes = {x: (BATCH, WIDTH), sequence: (TIME, BATCH, WIDTH)}
        feeds, along = ({key: random.normal(size=shape) for key, shape in shapes.items()} for _ in range(2))
        matrices = [dl.Variable(random.normal(size=(WIDTH, WIDTH)), name=name) for name in ("v", "w")]
        values = Growth(seed, matrices, sequence).grown([x, dl.sin(x @ matrices[0])], 4, depth=2)
        loss = dl.mean(dl.tanh(values[-1])) + dl.mean(dl.sin(values[-2] + values[-3]))
        slopes = dict(zip([*feeds, *matrices], dl.gradients(loss, [*feeds, *matrices]), strict=True))
        slopes = {key: slope for key, slope in slopes.items() if slope is not None}
        bends = dl.gradients(sum(dl.sum(dl.sin(slope)) for slope in slopes.values()), [x])
        fetches = [
            loss,
            *values[2::2],
            *slopes.values(),
            *(bends if seed % 4 == 0 and bends != [None] else []),
        ]
        pairs = [(v, v - 1e-3 * dl.tanh(slopes[v])) for v in matrices if v in slopes]

        def run(passes, kernels):
            session = dl.Session(passes=passes, kernels=kernels)
            (_, _), (results, _) = [session.run([fetches, dl.Updates(pairs)], feeds) for _ in range(2)]
            return [np.asarray(value) for value in results]

        plain = run(SAME_BITS, "numpy")
        for passes in [frozenset(), *(SAME_BITS - {name} for name in sorted(SAME_BITS))]:
            for value, expected in zip(run(passes, "numpy"), plain, strict=True):
                assert value.tobytes() == expected.tobytes(), f"passes {sorted(passes)}"
        for kernels in ("numpy", "native") if seed < 4 else ("numpy",):  # C takes long to be compiled
            for value, expected in zip(run(PASSES, kernels), plain, strict=True):
                size = np.abs(expected).max(initial=1e-6)
                np.testing.assert_allclose(value, expected, rtol=1e-7, atol=1e-9 * size)

        session = dl.Session(kernels="numpy")
        here, there = (
            session.run(loss, {key: feeds[key] + step * along[key] for key in feeds})
            for step in (-1e-6, 1e-6)
        )
        terms = [np.sum(session.run(slopes[key], feeds) * along[key]) for key in feeds if key in slopes]
        np.testing.assert_allclose((there - here) / 2e-6, sum(terms), rtol=1e-4, atol=1e-7)
