"""One split of a data set: examples that stay as they are stored, and become float32 a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltrain.datasets.order import epoch_order
from dltrain.datasets.source import Source
from dltrain.errors import ConfigError

AT_ONCE = 1000  # examples that are converted at a time, where it may be many


class Split:
    """Some of the examples of a source and of targets, which it shares with other splits.

    Attributes:
        source: the stored inputs; not to be changed, as all that follows.
        targets: [stored, ...], as they are fed; None when the input itself is the target.
        rows: int64[examples], which of the stored examples belong to the split, in its order.
        scale: what a stored value is multiplied by, in float32.
    """

    def __init__(
        self, source: Source, targets: NDArray[Any] | None, rows: NDArray[np.int64], scale: float
    ) -> None:
        self.source, self.targets, self.rows = source, targets, rows
        self.scale = np.float32(scale)

    def __len__(self) -> int:
        return len(self.rows)

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
            DataError: of a source that reads files.
        """
        rows = self.rows.take(index)
        inputs = np.empty((len(rows), *self.source.shape), np.float32)
        for start in range(0, len(rows), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            stored = np.empty(inputs[part].shape, self.source.dtype)
            self.source.take(rows[part], stored)
            np.copyto(inputs[part], stored, casting="same_kind")
        if self.scale != 1:
            inputs *= self.scale
        return inputs, inputs if self.targets is None else self.targets.take(rows, 0)
