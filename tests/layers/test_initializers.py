"""Initial values against the distributions that their papers give."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from dltrain.errors import ConfigError, GraphError
from dltrain.layers.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    TruncatedNormal,
    Zeros,
    generator_for,
)

IN, OUT = 300, 200


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [
        (GlorotUniform(), 2 / (IN + OUT)),
        (GlorotNormal(), 2 / (IN + OUT)),
        (HeUniform(), 2 / IN),
        (HeNormal(), 2 / IN),
        (LecunUniform(), 1 / IN),
        (LecunNormal(), 1 / IN),
        (RandomNormal(standard_deviation=0.3), 0.09),
        (TruncatedNormal(standard_deviation=0.3), (0.3 * 0.87962566) ** 2),
    ],
)
def test_mean_and_variance(initializer: Initializer, variance: float) -> None:
    values = initializer.values((IN, OUT), generator_for(0, "kernel"))
    assert values.shape == (IN, OUT)
    assert abs(values.mean()) < 5 * sqrt(variance / values.size)
    assert values.var() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize(
    ("initializer", "limit"),
    [
        (GlorotUniform(), sqrt(6 / (IN + OUT))),
        (HeUniform(), sqrt(6 / IN)),
        (LecunUniform(), sqrt(3 / IN)),
        (TruncatedNormal(standard_deviation=0.3), 0.6),
    ],
)
def test_limits_are_kept_and_nearly_reached(initializer: Initializer, limit: float) -> None:
    largest = np.abs(initializer.values((IN, OUT), generator_for(0, "kernel"))).max()
    assert 0.99 * limit < largest <= limit


def test_further_axes_count_as_a_receptive_field() -> None:
    values = HeNormal().values((3, 3, 50, 40), generator_for(0, "kernel"))
    assert values.var() == pytest.approx(2 / (9 * 50), rel=0.05)


def test_means() -> None:
    for initializer in (RandomNormal(mean=2.0), TruncatedNormal(mean=2.0)):
        assert initializer.values((100, 100), generator_for(0, "w")).mean() == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (2, 3, 4)])
def test_orthogonal_has_orthonormal_columns_or_rows(shape: tuple[int, ...]) -> None:
    values = Orthogonal(gain=2.0).values(shape, generator_for(0, "w")).reshape(-1, shape[-1])
    narrow = values if values.shape[0] >= values.shape[1] else values.T
    np.testing.assert_allclose(narrow.T @ narrow, 4 * np.eye(narrow.shape[1]), atol=1e-12)


def test_orthogonal_signs_are_random() -> None:
    """Without the sign fix the diagonal of R, and so the first entry, would always have one sign."""
    first = [Orthogonal().values((3, 3), generator_for(seed, "w"))[0, 0] for seed in range(40)]
    assert 8 < sum(value > 0 for value in first) < 32


def test_orthogonal_refuses_vectors() -> None:
    with pytest.raises(GraphError, match="need a matrix"):
        Orthogonal().values((3,), generator_for(0, "bias"))


def test_zeros_and_constant() -> None:
    generator = generator_for(0, "w")
    np.testing.assert_array_equal(Zeros().values((2, 3), generator), np.zeros((2, 3)))
    np.testing.assert_array_equal(Constant(value=-1.5).values((2,), generator), [-1.5, -1.5])


def test_values_are_a_function_of_seed_and_name() -> None:
    def draw(seed: int, name: str) -> list[float]:
        return generator_for(seed, name).random(4).tolist()

    assert draw(0, "a") == draw(0, "a")
    assert draw(0, "a") != draw(1, "a")
    assert draw(0, "a") != draw(0, "b")
    assert draw(-1, "a") == draw(-1, "a")


def test_the_generator_is_the_same_on_every_machine() -> None:
    """Philox keyed by the seed and a hash: written down once, so that old runs can be repeated."""
    assert generator_for(0, "dense/kernel").bit_generator.random_raw() == 2311457670330917019


@pytest.mark.parametrize("initializer", [RandomNormal, TruncatedNormal])
def test_standard_deviations_that_are_none_are_refused(initializer: type[Initializer]) -> None:
    for value in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="standard_deviation must be"):
            initializer(standard_deviation=value)
