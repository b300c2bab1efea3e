"""Memory that the graph of a batch reads: stored examples, or a ring that a thread reads them into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import cycle
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltrain.datasets import Split

Index = NDArray[np.int64]


class Memory(ABC):
    """Stored examples as a graph reads them.

    Arguments:
        split: whose they are.
        size: the most examples in a batch.

    Attributes:
        arrays: the inputs, `dtype`[examples, *shape]; then the targets, unless these are the inputs.
        nbytes: what they take besides the data set.
    """

    arrays: tuple[NDArray[Any], ...]
    nbytes: int = 0

    @abstractmethod
    def __init__(self, split: Split, size: int) -> None: ...

    @abstractmethod
    def read(self, order: Iterable[Index]) -> Iterator[tuple[Index, Index]]:
        """The examples at these positions within the split, batch by batch.

        Yields:
            the positions, and the rows of `arrays` that hold them until the next ones are asked for.
        """


class Resident(Memory):
    """The arrays of the data set."""

    def __init__(self, split: Split, size: int) -> None:
        assert split.source.array is not None
        self._rows = split.rows
        self.arrays = (split.source.array, *([] if split.targets is None else [split.targets]))

    def read(self, order: Iterable[Index]) -> Iterator[tuple[Index, Index]]:
        for index in order:
            yield index, self._rows.take(index)


class Ring(Memory):
    """Room for two batches: a thread may read one, while what is in the other is computed with."""

    def __init__(self, split: Split, size: int) -> None:
        self._split, self._size = split, size
        self._inputs = np.empty((2 * size, *split.source.shape), split.source.dtype)
        self.arrays = (self._inputs,)
        if split.targets is not None:
            self._targets = np.empty((2 * size, *split.targets.shape[1:]), split.targets.dtype)
            self.arrays += (self._targets,)
        self.nbytes = sum(array.nbytes for array in self.arrays)

    def read(self, order: Iterable[Index]) -> Iterator[tuple[Index, Index]]:
        return self._read_ahead(order) if self._split.source.ahead else self._read(order)

    def _read(self, order: Iterable[Index]) -> Iterator[tuple[Index, Index]]:
        for index in order:
            self._fill(index, 0)
            yield index, np.arange(len(index))

    def _read_ahead(self, order: Iterable[Index]) -> Iterator[tuple[Index, Index]]:
        wanted: SimpleQueue[tuple[Index, int] | None] = SimpleQueue()
        done: SimpleQueue[BaseException | None] = SimpleQueue()
        # A daemon: a process may end while an iteration that nobody has closed still waits.
        thread = Thread(target=self._read_wanted, args=(wanted, done), name="read ahead", daemon=True)
        thread.start()
        try:
            asked = zip(order, cycle((0, self._size)), strict=False)
            following = next(asked, None)
            wanted.put(following)
            while following is not None:
                index, start = following
                if (error := done.get()) is not None:
                    raise error
                following = next(asked, None)
                wanted.put(following)
                yield index, np.arange(start, start + len(index))
        finally:
            wanted.put(None)
            thread.join()

    def _read_wanted(
        self, wanted: SimpleQueue[tuple[Index, int] | None], done: SimpleQueue[BaseException | None]
    ) -> None:
        """Reads what is wanted until there is nothing more; says of each what went wrong, None if nothing."""
        while (following := wanted.get()) is not None:
            try:
                self._fill(*following)
            except BaseException as error:
                done.put(error)
            else:
                done.put(None)

    def _fill(self, index: Index, start: int) -> None:
        """Reads the examples at these positions within the split, into the rows from `start` on."""
        rows, place = self._split.rows.take(index), slice(start, start + len(index))
        self._split.source.take(rows, self._inputs[place])
        if self._split.targets is not None:
            self._targets[place] = self._split.targets.take(rows, 0)
