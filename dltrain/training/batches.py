"""Programs of a network, run on batches of a split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltrain.autodiff.program import Program
from dltrain.datasets import Split
from dltrain.errors import DivergedError
from dltrain.execution import Session
from dltrain.execution.function import BoundFunction
from dltrain.training.divergence import explained, loss_limit


class BatchFunction:
    """A program on examples of a split, which are gathered straight into the plan's own input arrays.

    Arguments:
        program: its inputs are `Network.fed`.
    """

    def __init__(self, session: Session, program: Program) -> None:
        self._session = session
        self._function = session.compile(program)

    def __call__(
        self, split: Split, index: NDArray[np.int64], first_loss: float | None = None
    ) -> tuple[Any, ...]:
        """The program's fetches for the examples of `split` at `index`, int64[batch].

        Arguments:
            first_loss: that of the first step, if this is a later one; see `loss_limit`.

        Raises:
            DivergedBatch: the loss or a gradient is not finite, or the loss beyond its limit.
        """
        bound = self.gather(split, index)
        try:
            results: tuple[Any, ...] = bound(loss_limit(first_loss))
        except DivergedError as error:
            program = self._function.program
            feeds = dict(zip(program.inputs, bound.inputs, strict=True))
            raise explained(error, self._session, program, feeds, first_loss) from None
        return results

    def gather(self, split: Split, index: NDArray[np.int64]) -> BoundFunction:
        """The function for the batch's size, with the examples in its inputs."""
        bound = self.bound(len(index))
        inputs, *targets = bound.inputs
        labels = targets[0] if targets else None
        split.gather(index, inputs=inputs, targets=labels, take_rows=self._session.take_rows)
        return bound

    def bound(self, batch: int) -> BoundFunction:
        """The function for a batch of this size; compiled when first asked for."""
        return self._function.bind(batch=batch)


def batches_of(order: NDArray[np.int64], size: int, skip: int = 0) -> Iterator[NDArray[np.int64]]:
    """`order`, int64[examples], in parts of `size`, the last perhaps smaller; less the first `skip` parts."""
    for start in range(skip * size, len(order), size):
        yield order[start : start + size]
