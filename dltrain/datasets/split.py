"""One split of a data set: examples that stay as they are stored, and become float32 a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltrain.datasets.order import epoch_order
from dltrain.errors import ConfigError

AT_ONCE = 1000  # examples that are converted at a time, where it may be many: the memory for that is kept

TakeRows = Callable[[NDArray[np.uint8], NDArray[np.int64], float, NDArray[np.float32]], None]
"""take_rows(source, rows, scale, out) fills `out` with `scale` times the rows of `source`."""


class Split:
    """Some of the examples of two arrays that it shares with other splits.

    Arguments:
        inputs: [stored, *input_shape], uint8 or floating, in C order; may be mapped from a file, in any byte
            order and at any address.
        labels: the targets, [stored, ...], as they are fed; None when the input itself is the target.
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
        # Taken as bytes: of an array that is not aligned NumPy would first make an aligned copy of it all.
        self._bytes = inputs.reshape(len(inputs), -1).view(np.uint8)
        self._is_float32 = inputs.dtype == np.float32 and inputs.flags.aligned
        self._taken, self._stored = np.empty((0, self._bytes.shape[1]), np.uint8), inputs[:0]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def stored(self) -> tuple[NDArray[Any], ...]:
        """Its arrays, the inputs first: as they are stored, shared with other splits, not to be changed."""
        return tuple(array for array in (self._inputs, self._labels, self._rows) if array is not None)

    def batches(
        self, size: int, *, epoch: int | None = None, seed: int = 0
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[Any]]]:
        """Inputs and targets of all examples, `size` at a time, as `take` gives them; the last may be fewer.

        Arguments:
            size: examples a batch, at least 1.
            epoch: for shuffled batches: those that `dltrain fit` makes of this seed in this epoch, from 1 on.
                None: in the order of the split.
            seed: which shuffles.

        Raises:
            ConfigError: size, seed or epoch is out of range.
        """
        if size < 1:
            raise ConfigError("a batch has at least one example", why=f"its size is {size}")
        examples = len(self)
        order = np.arange(examples) if epoch is None else epoch_order(examples, seed=seed, epoch=epoch)
        return (self.take(order[start : start + size]) for start in range(0, examples, size))

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Inputs and targets of the whole split, in its order, as `take` gives them."""
        return self.take(np.arange(len(self)))

    def take(self, index: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """The examples at `index`, as new arrays that are the caller's.

        Arguments:
            index: int64[batch], positions within the split.

        Returns:
            Inputs, float32[batch, *input_shape], scale times the stored values; and targets, [batch, ...]: of
            labels int64, else float32; where the target is the input, the inputs again, the same array.

        Raises:
            IndexError: a position is beyond the split.
        """
        inputs = np.empty((len(index), *self._inputs.shape[1:]), np.float32)
        labels = None
        if self._labels is not None:
            labels = np.empty((len(index), *self._labels.shape[1:]), self._labels.dtype)
        for start in range(0, len(index), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            self.gather(index[part], inputs=inputs[part], targets=None if labels is None else labels[part])
        return inputs, inputs if labels is None else labels

    def gather(
        self,
        index: NDArray[np.int64],
        *,
        inputs: NDArray[np.float32],
        targets: NDArray[np.int64] | None = None,
        take_rows: TakeRows | None = None,
    ) -> None:
        """Writes the examples at `index` into the caller's buffers, as `take` but without new arrays.

        Arguments:
            index: int64[batch], positions within the split.
            inputs: float32[batch, *input_shape], filled with scale times the stored values.
            targets: [batch, ...], filled with the targets; None for none.
            take_rows: a session's, which is faster than NumPy where it can be used; the same bits.

        Raises:
            IndexError: a position is beyond the split.
            ValueError: a buffer has the wrong shape, or the split has no labels to give.
        """
        rows = self._rows.take(index)  # this take checks the index, so that those below may skip it ("clip")
        if take_rows and self._can_be_taken(rows, inputs):
            take_rows(self._bytes, rows, float(self._scale), inputs)
        else:
            self._take(rows, inputs)
        if targets is not None:
            if self._labels is None:
                raise ValueError("the target of this data set is its input: it has no labels")
            self._labels.take(rows, 0, targets, "clip")

    def _can_be_taken(self, rows: NDArray[np.int64], inputs: NDArray[np.float32]) -> bool:
        """Whether both ends are what `take_rows` needs."""
        return (
            self._inputs.dtype == np.uint8
            and inputs.dtype == np.float32
            and inputs.flags.carray  # contiguous, aligned, and may be written
            and inputs.shape == (len(rows), *self._inputs.shape[1:])
            and rows.dtype == np.int64
            and rows.ndim == 1
        )

    def _take(self, rows: NDArray[np.int64], inputs: NDArray[np.float32]) -> None:
        if self._is_float32:
            self._inputs.take(rows, 0, inputs, "clip")
        else:
            if len(self._taken) != len(rows):
                self._taken = np.empty((len(rows), self._bytes.shape[1]), np.uint8)
                self._stored = self._taken.view(self._inputs.dtype).reshape(
                    len(rows), *self._inputs.shape[1:]
                )
            self._bytes.take(rows, 0, self._taken, "clip")
            np.copyto(
                inputs, self._stored, casting="same_kind"
            )  # faster than to convert and multiply at once
        if self._scale != 1:
            np.multiply(inputs, self._scale, out=inputs)
