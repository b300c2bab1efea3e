"""Random ops: functions of (seed, stream, step), with the moments that they promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dltrain.autodiff import ops
from dltrain.autodiff.gradients import gradients
from dltrain.autodiff.graph import Graph, Tensor
from dltrain.autodiff.leaves import constant, placeholder
from dltrain.execution.session import Session

COUNT = 200_000
DRAWS: dict[str, Callable[..., Tensor]] = {
    "random_uniform": ops.random_uniform,
    "random_normal": ops.random_normal,
    "truncated_normal": ops.truncated_normal,
    "dropout": lambda shape, dtype="float32", **arguments: ops.dropout(
        constant(np.ones(shape), dtype), 0.5, **arguments
    ),
}
each_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=list(DRAWS))
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def drawn(draw: Callable[..., Tensor], graph_seed: int = 0, step: int | None = None, **arguments: Any) -> Any:
    """1000 numbers from a fresh graph."""
    with Graph(seed=graph_seed) as graph:
        step_tensor = None if step is None else constant(np.int64(step))
        return Session(graph).run(draw((1000,), step=step_tensor, **arguments))


@each_draw
@both_dtypes
def test_equal_seed_name_and_step_give_equal_bits(draw: Callable[..., Tensor], dtype: str) -> None:
    first, second = (drawn(draw, 3, step=7, dtype=dtype) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.dtype == dtype


@each_draw
def test_another_seed_name_or_step_gives_other_numbers(draw: Callable[..., Tensor]) -> None:
    numbers = [
        drawn(draw, 3, step=7),
        drawn(draw, 4, step=7),
        drawn(draw, 3, step=8),
        drawn(draw, 3, step=7, name="other"),
        drawn(draw, 3, step=7, seed=5),
    ]
    for position, one in enumerate(numbers):
        for other in numbers[:position]:
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.15  # 5 standard errors are 0.158


@each_draw
def test_a_seed_of_its_own_replaces_that_of_the_graph(draw: Callable[..., Tensor]) -> None:
    assert drawn(draw, 3, seed=5).tobytes() == drawn(draw, 4, seed=5).tobytes()
    assert drawn(draw, 3, seed=2**64 - 1).shape == (1000,)


@each_draw
def test_the_step_of_the_graph_is_the_default(draw: Callable[..., Tensor]) -> None:
    with Graph() as graph:
        session = Session(graph)
        numbers = draw((1000,))
        first = session.run(numbers)
        assert session.run(numbers).tobytes() == first.tobytes()
        session.run(graph.step.assign(1))
        assert session.run(numbers).tobytes() != first.tobytes()
        session.run(graph.step.assign(0))
        assert session.run(numbers).tobytes() == first.tobytes()


def test_two_nodes_of_one_graph_are_independent() -> None:
    with Graph() as graph:
        one, other = Session(graph).run([ops.random_normal((COUNT,)), ops.random_normal((COUNT,))])
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(COUNT)


def test_a_prefix_of_the_graph_does_not_change_the_numbers() -> None:
    with Graph() as graph:
        constant(1.0)
        ops.random_normal((3,), name="unrelated")
        later = Session(graph).run(ops.random_normal((1000,), name="noise"))
    with Graph() as graph:
        alone = Session(graph).run(ops.random_normal((1000,), name="noise"))
    assert later.tobytes() == alone.tobytes()


def moments(numbers: np.ndarray) -> tuple[float, float]:
    wide = numbers.astype(np.float64)
    return float(wide.mean()), float(wide.std())


@both_dtypes
def test_uniform(dtype: str) -> None:
    with Graph() as graph:
        numbers = Session(graph).run(ops.random_uniform((COUNT,), -1.0, 3.0, dtype=dtype))
    assert numbers.min() >= -1
    assert numbers.max() < 3
    mean, stddev = moments(numbers)
    assert mean == pytest.approx(1, abs=5 * 4 / np.sqrt(12 * COUNT))
    assert stddev == pytest.approx(4 / np.sqrt(12), rel=0.01)
    counts, _ = np.histogram(numbers, bins=20, range=(-1, 3))
    assert abs(counts - COUNT / 20).max() < 5 * np.sqrt(COUNT / 20)


def test_uniform_stays_below_high_where_float32_is_coarse() -> None:
    with Graph() as graph:
        numbers = Session(graph).run(ops.random_uniform((COUNT,), 2.0**24, 2.0**24 + 4))
    assert set(numbers - 2.0**24) == {0.0, 2.0}


@both_dtypes
def test_normal(dtype: str) -> None:
    with Graph() as graph:
        numbers = Session(graph).run(ops.random_normal((COUNT,), mean=2.0, stddev=0.5, dtype=dtype))
    mean, stddev = moments(numbers)
    assert mean == pytest.approx(2, abs=5 * 0.5 / np.sqrt(COUNT))
    assert stddev == pytest.approx(0.5, rel=0.01)
    assert (np.abs(numbers - 2) > 1).mean() == pytest.approx(0.0455, abs=0.003)


@both_dtypes
def test_truncated_normal(dtype: str) -> None:
    with Graph() as graph:
        numbers = Session(graph).run(ops.truncated_normal((COUNT,), mean=2.0, stddev=0.5, dtype=dtype))
    assert np.abs(numbers - 2).max() <= 1 + 1e-6
    mean, stddev = moments(numbers)
    assert mean == pytest.approx(2, abs=5 * 0.44 / np.sqrt(COUNT))
    assert stddev == pytest.approx(0.5 * 0.879626, rel=0.01)
    assert (np.abs(numbers - 2) < 0.5).mean() == pytest.approx(0.6827 / 0.9545, abs=0.006)


@both_dtypes
@pytest.mark.parametrize("rate", [0.2, 0.5, 0.999])
def test_dropout(rate: float, dtype: str) -> None:
    with Graph() as graph:
        x = constant(np.full(COUNT, 3.0), dtype)
        numbers = Session(graph).run(ops.dropout(x, rate))
    kept = numbers != 0
    np.testing.assert_allclose(numbers[kept], 3 / (1 - rate), rtol=1e-6)
    assert kept.mean() == pytest.approx(1 - rate, abs=5 * np.sqrt(rate * (1 - rate) / COUNT))


def test_a_tiny_rate_is_kept_on_average() -> None:
    """16 bits alone could not tell a rate of 1e-5 from 1 / 65536."""
    with Graph() as graph:
        step = placeholder("int64", (), "step")
        mask = ops.dropout(constant(np.ones(20_000)), 1e-5, step=step)
        dropped = Session(graph).make_callable(ops.sum(ops.cast(ops.equal(mask, 0), "int64")), [step])
        total = sum(dropped(number) for number in range(500))
    assert total == pytest.approx(100, abs=50)  # a threshold rounded to 16 bits would give 153 or 0


def test_dropout_of_nothing_is_the_tensor_itself() -> None:
    with Graph():
        x = constant([1.0])
        assert ops.dropout(x, 0.0) is x


def test_the_gradient_meets_the_same_mask() -> None:
    with Graph() as graph:
        x = placeholder("float32", ("batch", 100), "x")
        y = ops.dropout(x, 0.5)
        (gradient,) = gradients(y, [x])
        out, found = Session(graph).run([y, gradient], {x: np.ones((3, 100))})
        np.testing.assert_array_equal(out, found)


def test_masks_of_rows_differ() -> None:
    with Graph() as graph:
        x = placeholder("float32", ("batch", 100), "x")
        mask = Session(graph).run(ops.dropout(x, 0.5), {x: np.ones((50, 100))})
    assert len({row.tobytes() for row in mask}) == 50
