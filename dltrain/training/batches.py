"""Programs of a network, run on batches of a split, which the graph itself gathers from what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dltrain.autodiff.program import Program
from dltrain.datasets import Split
from dltrain.errors import DivergedError
from dltrain.execution import Function, Session
from dltrain.execution.function import BoundFunction
from dltrain.training.divergence import explained, loss_limit
from dltrain.training.memory import Memory, Resident, Ring
from dltrain.training.network import Network, Stored


class Batch(NamedTuple):
    """Some examples of a split, and where they lie; until the next batch is asked for.

    Attributes:
        positions: int64[batch], within the split.
        places: int64[batch], their rows in the memory that the graph reads.
    """

    split: Split
    positions: NDArray[np.int64]
    places: NDArray[np.int64]


class BatchFunction:
    """A program on batches of splits.

    Arguments:
        program: its inputs are `network.fed`.
        size: the most examples in a batch.
    """

    def __init__(self, session: Session, network: Network, program: Program, size: int) -> None:
        self._session, self._network, self._program, self._size = session, network, program, size
        self._functions: dict[Stored, Function] = {}
        self._memories: dict[Split, Memory] = {}
        self._bound: dict[tuple[Split, int], BoundFunction] = {}

    def __call__(self, batch: Batch, first_loss: float | None = None) -> tuple[Any, ...]:
        """The program's fetches for the batch.

        Arguments:
            first_loss: that of the first step, if this is a later one; see `loss_limit`.

        Raises:
            DivergedBatch: the loss or a gradient is not finite, or the loss beyond its limit.
        """
        bound = self.bound(batch.split, len(batch.positions))
        bound.inputs[0][...] = batch.places
        try:
            results: tuple[Any, ...] = bound(loss_limit(first_loss))
        except DivergedError as error:
            feeds = dict(zip(self._network.fed, batch.split.take(batch.positions), strict=False))
            raise explained(error, self._session, self._program, feeds, first_loss) from None
        return results

    def batches(self, split: Split, order: Iterable[NDArray[np.int64]]) -> Iterator[Batch]:
        """The batches of these positions within the split, each to be used before the next is asked for.

        Raises:
            DataError: an example cannot be read, when its batch is asked for.
        """
        for positions, places in self.memory(split).read(order):
            yield Batch(split, positions, places)

    def bound(self, split: Split, batch: int) -> BoundFunction:
        """The function for a batch of this size; compiled when first asked for."""
        bound = self._bound.get((split, batch))
        if bound is None:
            stored = self._network.stored(split.source.dtype, split.scale)
            if stored not in self._functions:
                program = replace(self._program, inputs=stored.inputs, substitutions=stored.substitutions)
                self._functions[stored] = self._session.compile(program)
            arrays = zip(stored.inputs, self.memory(split).arrays, strict=False)
            bound = self._bound[split, batch] = self._functions[stored].bind(dict(arrays), batch=batch)
        return bound

    def memory(self, split: Split) -> Memory:
        """Where the graph finds examples of the split."""
        memory = self._memories.get(split)
        if memory is None:
            kind = Ring if split.source.array is None else Resident
            memory = self._memories[split] = kind(split, min(self._size, len(split)))
        return memory


def batches_of(order: NDArray[np.int64], size: int, skip: int = 0) -> Iterator[NDArray[np.int64]]:
    """`order`, int64[examples], in parts of `size`, the last perhaps smaller; less the first `skip` parts."""
    for start in range(skip * size, len(order), size):
        yield order[start : start + size]
