"""One split of a data set: examples that stay as they are stored, and become float32 a batch at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Split:
    """Some of the examples of two arrays that it shares with other splits.

    Arguments:
        inputs: [stored, *input_shape], uint8 or float32.
        labels: int64[stored], or None when the input itself is the target.
        rows: int64[examples], which of the stored examples belong to the split, in its order.
        scale: what a stored value is multiplied by.
    """

    def __init__(
        self,
        inputs: NDArray[Any],
        labels: NDArray[np.int64] | None,
        rows: NDArray[np.int64],
        scale: float,
    ) -> None:
        self._inputs, self._labels, self._rows = inputs, labels, rows
        self._scale = np.float32(scale)
        self._stored_batch = np.empty((0, *inputs.shape[1:]), inputs.dtype)

    def __len__(self) -> int:
        return len(self._rows)

    def gather(
        self,
        index: NDArray[np.int64],
        *,
        inputs: NDArray[np.float32],
        targets: NDArray[np.int64] | None = None,
    ) -> None:
        """Writes the examples at `index` into the caller's buffers.

        Arguments:
            index: int64[batch], positions within the split.
            inputs: float32[batch, *input_shape], filled with scale times the stored values.
            targets: int64[batch], filled with the labels; None for none.

        Raises:
            IndexError: a position is beyond the split.
            ValueError: a buffer has the wrong shape, or the split has no labels to give.
        """
        rows = self._rows.take(index)  # this take checks the index, so that those below may skip it ("clip")
        if self._inputs.dtype == np.float32:
            self._inputs.take(rows, 0, inputs, "clip")
            if self._scale != 1:
                np.multiply(inputs, self._scale, out=inputs)
        else:
            if len(self._stored_batch) < len(rows):
                self._stored_batch = np.empty((len(rows), *self._inputs.shape[1:]), self._inputs.dtype)
            stored = self._stored_batch[: len(rows)]
            self._inputs.take(rows, 0, stored, "clip")
            np.multiply(stored, self._scale, out=inputs)
        if targets is not None:
            if self._labels is None:
                raise ValueError("the target of this data set is its input: it has no labels")
            self._labels.take(rows, 0, targets, "clip")
