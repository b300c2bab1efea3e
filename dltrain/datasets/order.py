"""In which order examples are met: pure functions, so that a resumed run needs counters only.

Philox is counter-based: its numbers are a function of key and counter (Salmon et al., "Parallel Random
Numbers: As Easy as 1, 2, 3", SC 2011). A permutation is what sorts as many of its 64-bit numbers. NumPy keeps
these numbers the same in every version, which it does not promise of `Generator.permutation`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dltrain.errors import ConfigError

# What the numbers are for is half of the key, so that no use repeats another's numbers.
SHUFFLE_STREAM = int.from_bytes(b"shuffle")
VALIDATION_STREAM = int.from_bytes(b"validat")


def epoch_order(examples: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of the examples in one epoch: a permutation, int64[examples], of (seed, epoch) alone.

    Raises ConfigError if seed or epoch is not within 0 to 2**64 - 1.
    """
    for name, value in (("seed", seed), ("epoch", epoch)):
        if not 0 <= value < 2**64:
            raise ConfigError(f"{name} must be within 0 to 2**64 - 1", why=f"it is {value}")
    return _permutation(examples, key=seed, stream=SHUFFLE_STREAM, counter=epoch)


def validation_choice(examples: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which examples train and which validate: int64[examples - size] and int64[size], each ascending.

    The choice is the same for every seed, so that runs with different seeds can be compared, and the examples
    chosen for a smaller size are among those for a larger one.
    """
    order = _permutation(examples, key=0, stream=VALIDATION_STREAM, counter=0)
    return np.sort(order[size:]), np.sort(order[:size])


def _permutation(examples: int, *, key: int, stream: int, counter: int) -> NDArray[np.int64]:
    # The generator itself counts up the lowest of the counter's four words; the highest is the caller's.
    generator = np.random.Philox(
        key=np.array([key, stream], np.uint64), counter=np.array([0, 0, 0, counter], np.uint64)
    )
    return np.argsort(generator.random_raw(examples)).astype(np.int64, copy=False)
