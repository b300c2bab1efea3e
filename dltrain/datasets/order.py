"""In which order examples are met: pure functions, so that a resumed run needs counters only.

A permutation is what sorts as many 64-bit numbers of Philox: NumPy keeps these the same in every version,
which it does not promise of `Generator.permutation`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dltrain.autodiff.philox import philox
from dltrain.errors import ConfigError

# What the numbers are for, so that no use repeats another's.
SHUFFLE_STREAM = int.from_bytes(b"shuffle")
VALIDATION_STREAM = int.from_bytes(b"validat")


def epoch_order(examples: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of the examples in one epoch: a permutation, int64[examples], of (seed, epoch) alone.

    Raises ConfigError if seed or epoch is not within 0 to 2**64 - 1.
    """
    for name, value in (("seed", seed), ("epoch", epoch)):
        if not 0 <= value < 2**64:
            raise ConfigError(f"{name} must be within 0 to 2**64 - 1", why=f"it is {value}")
    return _permutation(examples, philox(seed, SHUFFLE_STREAM, epoch))


def validation_choice(examples: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which examples train and which validate: int64[examples - size] and int64[size], each ascending.

    The choice is the same for every seed, so that runs with different seeds can be compared, and the examples
    chosen for a smaller size are among those for a larger one.
    """
    order = _permutation(examples, philox(0, VALIDATION_STREAM))
    return np.sort(order[size:]), np.sort(order[:size])


def _permutation(examples: int, generator: np.random.Philox) -> NDArray[np.int64]:
    return np.argsort(generator.random_raw(examples)).astype(np.int64, copy=False)
