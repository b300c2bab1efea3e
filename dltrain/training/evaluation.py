"""Evaluating a network on a split: exact figures, whatever the size of the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
        program = self.network.evaluating(self._names)
        self._run = BatchFunction(self.session, self.network, program, self._batch_size)

    def __call__(self, split: Split) -> Figures:
        """The figures of a split, each by its name.

        Raises DivergedBatch when the loss is not finite, EvaluationStopped once `should_stop` says yes,
        DataError when an example cannot be read.
        """
        figures = {name: self.network.figures[name] for name in self._names}
        kept = [figure.keeps_examples for figure in figures.values() for _ in figure.sums]
        totals: list[Any] = [[] if keeps else 0 for keeps in kept]
        order = batches_of(np.arange(self.examples(split)), self._batch_size)
        for batch in self._run.batches(split, order):
            for place, value in enumerate(self._run(batch)):
                totals[place] += [value] if kept[place] else value
            if self.should_stop():
                raise EvaluationStopped
        whole = iter([np.concatenate(total) if isinstance(total, list) else total for total in totals])
        return {name: figure.of(*(next(whole) for _ in figure.sums)) for name, figure in figures.items()}

    def compile(self, split: Split) -> None:
        """Does now what else the first evaluation of the split would begin with."""
        self._run.bound(split, min(self._batch_size, self.examples(split)))

    def examples(self, split: Split) -> int:
        """How many examples of the split are looked at."""
        return len(split) if self.batches is None else min(len(split), self.batches * self._batch_size)


def plain_figures(figures: Mapping[str, float | Array]) -> dict[str, Any]:
    """The figures as JSON can hold them: numbers, lists of lists, and "nan" and "inf", which it lacks."""

    def plain(figure: Any) -> Any:
        if isinstance(figure, list):
            return [plain(each) for each in figure]
        return figure if np.isfinite(figure) else repr(figure)

    return {name: plain(np.asarray(figure).tolist()) for name, figure in figures.items()}
