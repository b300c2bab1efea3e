"""The order of examples is a permutation and a function of (seed, epoch) alone."""

from __future__ import annotations

import numpy as np
import pytest

from dltrain.datasets import epoch_order
from dltrain.datasets.order import validation_choice
from dltrain.errors import ConfigError


@pytest.mark.parametrize("examples", [0, 1, 2, 1000])
def test_is_a_permutation(examples: int) -> None:
    order = epoch_order(examples, seed=0, epoch=1)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(examples))


def test_depends_on_seed_and_epoch_alone() -> None:
    orders = {
        (s, e): epoch_order(100, seed=s, epoch=e).tobytes() for s in (0, 1, 2**64 - 1) for e in (0, 1, 2)
    }
    assert len(set(orders.values())) == 9
    np.random.seed(5)
    assert epoch_order(100, seed=1, epoch=2).tobytes() == orders[1, 2]


def philox(key: list[int], counter: list[int], count: int) -> list[int]:
    """Philox4x64-10 as its paper describes it (section 3.3), in plain integers."""
    mask = 2**64 - 1
    numbers = []
    while len(numbers) < count:
        counter = [counter[0] + 1, *counter[1:]]  # NumPy counts before it draws
        (a, b, c, d), (k0, k1) = counter, key
        for _ in range(10):
            high0, low0 = divmod(0xD2E7470EE14C6C93 * a, 2**64)
            high1, low1 = divmod(0xCA5A826395121157 * c, 2**64)
            a, b, c, d = high1 ^ b ^ k0, low1, high0 ^ d ^ k1, low0
            k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
        numbers += [a, b, c, d]
    return numbers[:count]


@pytest.mark.parametrize(("seed", "epoch"), [(0, 1), (7, 3), (2**64 - 1, 10**6)])
def test_sorts_the_published_generators_numbers(seed: int, epoch: int) -> None:
    """A run resumed with another version of NumPy or dltrain must go on in the same order."""
    numbers = philox([seed, int.from_bytes(b"shuffle")], [0, 0, 0, epoch], 101)
    assert epoch_order(101, seed=seed, epoch=epoch).tolist() == sorted(range(101), key=numbers.__getitem__)


def test_validation_is_chosen_by_the_same_generator() -> None:
    numbers = philox([0, int.from_bytes(b"validat")], [0, 0, 0, 0], 50)
    order = sorted(range(50), key=numbers.__getitem__)
    train, validation = validation_choice(50, 20)
    assert validation.tolist() == sorted(order[:20])
    assert train.tolist() == sorted(order[20:])


def test_every_place_is_equally_likely() -> None:
    counts = np.zeros((6, 6))
    for epoch in range(6000):
        counts[np.arange(6), epoch_order(6, seed=3, epoch=epoch)] += 1
    chi_square = ((counts - 1000) ** 2 / 1000).sum()
    assert 8 < chi_square < 52.6  # 25 degrees of freedom: beyond these with probability 0.001 each


@pytest.mark.parametrize(("seed", "epoch"), [(-1, 0), (2**64, 0), (0, -1)])
def test_out_of_range(seed: int, epoch: int) -> None:
    with pytest.raises(ConfigError, match="must be within 0 to"):
        epoch_order(10, seed=seed, epoch=epoch)
