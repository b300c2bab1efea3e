"""Evaluating a network on a split: exact figures, whatever the size of the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dltrain.autodiff.spec import Array
from dltrain.datasets import Split
from dltrain.execution import Session
from dltrain.training.batches import BatchFunction, batches_of
from dltrain.training.network import Network

Figures = dict[str, float | Array]
"""Figures by name: "loss" and metrics; an array where a metric is more than one number."""


class EvaluationStopped(Exception):
    """An evaluation was asked to stop, and has no figures."""


@dataclass
class Evaluator:
    """Computes a network's figures over splits; compiled once, to be used after each epoch.

    Arguments:
        names: of the figures: "loss" and metrics' names; default all.
        batches: how many batches of a split to look at; default all.
        should_stop: asked after each batch.
    """

    session: Session
    network: Network
    names: Iterable[str] | None = None
    batches: int | None = None
    should_stop: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self._names = tuple(self.network.figures if self.names is None else self.names)
        self._batch_size = self.network.config.train.evaluation_batch_size
        self._run = BatchFunction(self.session, self.network.evaluating(self._names))

    def __call__(self, split: Split) -> Figures:
        """The figures of a split, each by its name.

        Means weigh every example alike: the float64 sum of batch mean times batch size, divided by the number
        of examples.

        Raises DivergedBatch when the loss is not finite, EvaluationStopped once `should_stop` says yes.
        """
        totals: Figures = dict.fromkeys(self._names, 0)
        sums, examples = self.network.sums, 0
        for index in batches_of(np.arange(self.examples(split)), self._batch_size):
            for name, value in zip(self._names, self._run(split, index), strict=True):
                totals[name] = totals[name] + value * (1 if name in sums else len(index))
            examples += len(index)
            if self.should_stop():
                raise EvaluationStopped
        return {name: total if name in sums else total / examples for name, total in totals.items()}

    def compile(self, split: Split) -> None:
        """Does now what else the first evaluation of the split would begin with."""
        self._run.bound(min(self._batch_size, self.examples(split)))

    def examples(self, split: Split) -> int:
        """How many examples of the split are looked at."""
        return len(split) if self.batches is None else min(len(split), self.batches * self._batch_size)


def plain_figures(figures: Figures) -> dict[str, Any]:
    """The figures as JSON can hold them: numbers, and lists of lists."""
    return {
        name: figure.tolist() if isinstance(figure, np.ndarray) else figure
        for name, figure in figures.items()
    }
