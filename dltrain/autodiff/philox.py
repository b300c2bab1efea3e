"""Random bits as a function of (seed, stream, counter), by the counter-based generator Philox4x64-10.

Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. Seed and stream are the key; NumPy
keeps what follows from a key and a counter the same in every version.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import SupportsInt

import numpy as np


def philox(seed: int, stream: int, counter: SupportsInt = 0) -> np.random.Philox:
    """The generator at the start of this counter's numbers.

    Arguments:
        seed, stream: from 0 to 2^64 - 1; no use of one seed repeats the numbers of another stream.
        counter: from 0 to 2^64 - 1. It is the highest of the generator's four words, which itself counts up
            the lowest, so that below it lie 2^192 blocks.
    """
    words = np.array([0, 0, 0, int(counter)], np.uint64)
    return np.random.Philox(key=np.array([seed, stream], np.uint64), counter=words)


def stream_of(name: str) -> int:
    """The stream of what is called `name`: the first 64 bits of its BLAKE2b hash."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
