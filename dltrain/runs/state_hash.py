"""One hash for all variables, by which two courses of training can be compared to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import numpy as np

from dltrain.autodiff.spec import Array


def hash_state(state: Mapping[str, Array]) -> str:
    """SHA-256 in hexadecimal of the names, dtypes, shapes and bytes of all variables, in the names' order.

    Arguments:
        state: of a session (`Session.state`) or a checkpoint: parameters, slots, step counter.
    """
    digest = sha256()
    for name in sorted(state):
        array = np.asarray(state[name], order="C")
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
