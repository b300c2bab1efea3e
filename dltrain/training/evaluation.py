"""Evaluating a network on a split: exact figures, whatever the size of the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltrain.autodiff import Tensor
from dltrain.autodiff.spec import Array
from dltrain.datasets import Split
from dltrain.errors import DivergedError
from dltrain.execution import Session
from dltrain.execution.function import BoundFunction, Fetches
from dltrain.training.divergence import explained
from dltrain.training.network import Network

Figures = dict[str, float | Array]
"""Figures by name: "loss" and metrics; an array where a metric is more than one number."""


class BatchFunction:
    """A run of the session on examples of a split, gathered straight into the plan's own input arrays.

    Arguments:
        fetches: what each call computes; see `Session.run`.
        loss: must be finite, else nothing is committed.
    """

    def __init__(self, session: Session, network: Network, fetches: Fetches, loss: Tensor) -> None:
        self._session, self._fed, self._loss = session, network.fed, loss
        self._function = session.make_callable(fetches, self._fed, require_finite=[loss])
        self._bound: dict[int, BoundFunction] = {}  # a plan for each batch size: a last batch may be smaller

    def __call__(self, split: Split, index: NDArray[np.int64]) -> Fetches:
        """The fetches' values for the examples of `split` at `index`, int64[batch].

        Raises NonFiniteLoss, with the first op that is not finite, when the loss is not.
        """
        bound = self.gather(split, index)
        try:
            return bound()
        except DivergedError as error:
            self._gather_into(bound.inputs, split, index)
            feeds = dict(zip(self._fed, bound.inputs, strict=True))
            raise explained(error, self._session, self._loss, feeds) from None

    def gather(self, split: Split, index: NDArray[np.int64]) -> BoundFunction:
        """The function for the batch's size, with the examples in its inputs."""
        bound = self.bound(len(index))
        self._gather_into(bound.inputs, split, index)
        return bound

    def bound(self, batch: int) -> BoundFunction:
        """The function for a batch of this size; compiled when first asked for."""
        if batch not in self._bound:
            self._bound[batch] = self._function.bind(batch=batch)
        return self._bound[batch]

    def _gather_into(self, arrays: Sequence[Array], split: Split, index: NDArray[np.int64]) -> None:
        """Writes the examples into arrays for `Network.fed`: inputs and, if there are any, labels."""
        targets = arrays[1] if len(arrays) > 1 else None
        split.gather(index, inputs=arrays[0], targets=targets, take_rows=self._session.take_rows)


class EvaluationStopped(Exception):
    """An evaluation was asked to stop, and has no figures."""


class Evaluator:
    """Computes a network's figures over splits; compiled once, to be used after each epoch.

    Arguments:
        names: of the figures: "loss" and metrics' names; default all.
        batches: how many batches of a split to look at; default all.
        should_stop: asked after each batch.
    """

    def __init__(
        self,
        session: Session,
        network: Network,
        *,
        names: Iterable[str] | None = None,
        batches: int | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        evaluation = network.evaluation
        figures = evaluation.figures
        self._figures = figures if names is None else {name: figures[name] for name in names}
        self._sums = evaluation.sums
        self._batch_size = network.config.train.evaluation_batch_size
        self._batches = batches
        self._should_stop = should_stop
        self._run = BatchFunction(session, network, self._figures, loss=evaluation.loss)

    def __call__(self, split: Split) -> Figures:
        """The figures of a split, each by its name.

        Means weigh every example alike: the float64 sum of batch mean times batch size, divided by the number
        of examples.

        Raises NonFiniteLoss when the loss is not finite, EvaluationStopped once `should_stop` says yes.
        """
        totals: Figures = dict.fromkeys(self._figures, 0)
        examples = 0
        for index in batches_of(np.arange(self.examples(split)), self._batch_size):
            for name, value in self._run(split, index).items():
                totals[name] = totals[name] + value * (1 if name in self._sums else len(index))
            examples += len(index)
            if self._should_stop():
                raise EvaluationStopped
        return {name: total if name in self._sums else total / examples for name, total in totals.items()}

    def examples(self, split: Split) -> int:
        """How many examples of the split are looked at."""
        return len(split) if self._batches is None else min(len(split), self._batches * self._batch_size)


def plain_figures(figures: Figures) -> dict[str, Any]:
    """The figures as JSON can hold them: numbers, and lists of lists."""
    return {
        name: figure.tolist() if isinstance(figure, np.ndarray) else figure
        for name, figure in figures.items()
    }


def batches_of(order: NDArray[np.int64], size: int, skip: int = 0) -> Iterator[NDArray[np.int64]]:
    """`order`, int64[examples], in parts of `size`, the last perhaps smaller; less the first `skip` parts."""
    for start in range(skip * size, len(order), size):
        yield order[start : start + size]
