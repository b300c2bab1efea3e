"""The iteration loop: a generator of records, which knows nothing of who consumes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from dltrain.autodiff.program import Program
from dltrain.datasets import Data, epoch_order
from dltrain.errors import ConfigError, DataError
from dltrain.execution import Session
from dltrain.places import Key
from dltrain.training.batches import Batch, BatchFunction, batches_of
from dltrain.training.divergence import DivergedBatch
from dltrain.training.evaluation import EvaluationStopped, Evaluator
from dltrain.training.network import Network
from dltrain.training.records import CheckpointSaved, EpochDone, Finished, Record, Started, StepDone
from dltrain.training.state import TrainingState

Save = Callable[[TrainingState, bool], Path]
"""Saves a checkpoint of the session and the given state; the second argument: it is the best so far."""


@dataclass
class Trainer:
    """Trains a network on a data set.

    Arguments:
        training: a step, see `Network.add_training`.
        session: holds the variables; what it holds at first is where training starts.
        state: the counters that belong to these values; changed in place.
        save: see `Save`.
        should_stop: asked after each step and each batch of an evaluation; once it says yes, a checkpoint is
            saved and training ends.
        evaluation_batches: how many batches of the validation split to look at; default all.

    Raises ConfigError when a figure to be watched is not there.
    """

    network: Network
    training: Program
    session: Session
    data: Data
    state: TrainingState
    save: Save
    should_stop: Callable[[], bool] = lambda: False
    evaluation_batches: int | None = None

    def __post_init__(self) -> None:
        check_watched(self.network, self.data)
        self.config = self.network.config.train
        self.train = self.data.splits["train"]
        self.steps_per_epoch = self.network.config.steps_per_epoch(len(self.train))
        self.total_steps = self.network.config.total_steps(len(self.train))
        figures = self.network.figures.items()
        self.higher_is_better = {name for name, figure in figures if figure.higher_is_better}

    def fit(self) -> Iterator[Record]:
        """Trains until the last step, early stopping, or `should_stop`; after this there is no `Finished`.

        Raises DivergedBatch when a loss or a gradient is not finite, or the loss beyond its limit; the
        variables then are as they were before that step. Raises DataError when an example cannot be read;
        before that, a checkpoint of the steps so far is saved.
        """
        try:
            yield from self._fit()
        except DataError:
            if self.state.step:
                yield self._saved(best=False)
            raise

    def _fit(self) -> Iterator[Record]:
        state = self.state
        run_step = BatchFunction(self.session, self.network, self.training, self.config.batch_size)
        evaluate = Evaluator(
            self.session,
            self.network,
            names=self.network.scalars,
            batches=self.evaluation_batches,
            should_stop=self.should_stop,
        )
        if not self._reason_to_end():  # compiled while nobody minds being interrupted
            run_step.bound(self.train, min(self.config.batch_size, len(self.train)))
            if "validation" in self.data.splits:
                evaluate.compile(self.data.splits["validation"])
        yield Started(
            parameters=self.network.parameters,
            total_steps=self.total_steps,
            total_epochs=-(-self.total_steps // self.steps_per_epoch),
            steps_per_epoch=self.steps_per_epoch,
            start_step=state.step,
            units=self.network.units,
        )
        while not (reason := self._reason_to_end()):
            started, first = perf_counter(), state.examples
            for batch in run_step.batches(self.train, self._remaining_batches()):
                loss, learning_rate = self._step(run_step, batch)
                state.count_batch(len(batch.positions), loss, learning_rate)
                yield StepDone(state.step, state.epoch, loss, learning_rate)
                if self.should_stop():
                    yield self._saved(best=False)
                    return
                if self._is_checkpoint_due():
                    yield self._saved(best=False)
            trained = perf_counter()
            try:
                validation = self._evaluated(evaluate, "validation")
                train = self._evaluated(evaluate, "train") if self.config.metrics else {}
            except EvaluationStopped:  # when resumed, it begins again
                yield self._saved(best=False)
                return
            best = state.count_evaluation(validation, self.config, self.higher_is_better)
            yield EpochDone(
                step=state.step,
                epoch=state.epoch,
                train=train | {"loss": state.loss_sum / state.examples},
                validation=validation,
                learning_rate=state.learning_rate,
                seconds=perf_counter() - started,
                examples_per_second=(state.examples - first) / max(trained - started, 1e-9),
            )
            due = best or self._is_checkpoint_due() or self._reason_to_end() is not None
            if state.batches == self.steps_per_epoch:  # not so where the last step is within the epoch
                state.begin_epoch()
            if due:
                yield self._saved(best)
        yield Finished(state.step, state.last_epoch, reason, state.best_step, state.best, state.final)

    def _reason_to_end(self) -> str | None:
        """Why nothing is left to do; every step is followed by an evaluation, the last one too."""
        if self.state.evaluated_step >= self.total_steps:
            return "completed"
        stopping = self.config.early_stopping
        if stopping and self.state.waited >= stopping.patience:
            return f"early stopping: {stopping.metric} did not improve for {self.state.waited} epochs"
        return None

    def _remaining_batches(self) -> Iterator[NDArray[np.int64]]:
        """The batches of the epoch that are still to be trained on, each int64[batch]."""
        state = self.state
        order = epoch_order(len(self.train), seed=self.network.config.seed, epoch=state.epoch)
        last = state.batches + self.total_steps - state.step
        return batches_of(order[: last * self.config.batch_size], self.config.batch_size, skip=state.batches)

    def _is_checkpoint_due(self) -> bool:
        """Whether `checkpoint_every` asks for one now; at the end of an epoch only once it is evaluated."""
        state = self.state
        ends_epoch = state.batches == self.steps_per_epoch
        if (ends_epoch or state.step == self.total_steps) and state.evaluated_step < state.step:
            return False
        return self.config.is_checkpoint_due(step=state.step, epoch=state.epoch, ends_epoch=ends_epoch)

    def _saved(self, best: bool) -> CheckpointSaved:
        path = self.save(self.state, best)
        return CheckpointSaved(self.state.step, self.state.last_epoch, path, best)

    def _step(self, run_step: BatchFunction, batch: Batch) -> tuple[float, float]:
        """The loss before the step, and its learning rate."""
        state = self.state
        try:
            return run_step(batch, state.first_loss if state.step else None)
        except DivergedBatch as error:
            error.what = f"training diverged at step {state.step + 1} (epoch {state.epoch})"
            if not state.step:  # no update is to blame
                error.fix = "scale the data, or choose another cost or other initial values"
            raise

    def _evaluated(self, evaluate: Evaluator, split: str) -> dict[str, float]:
        """The figures of a split; none where there is no such split."""
        if split not in self.data.splits:
            return {}
        try:
            figures = evaluate(self.data.splits[split])
        except DivergedBatch as error:
            where = "validation" if split == "validation" else f"evaluating the {split} split"
            when = f"after step {self.state.step} (epoch {self.state.epoch}), in {where}"
            error.what = f"training diverged {when}"
            raise
        return {name: float(value) for name, value in figures.items()}


def check_watched(network: Network, data: Data) -> None:
    """
    Raises:
        ConfigError: a figure that `keep_best` or `early_stopping` watches is not computed.
    """
    train = network.config.train
    for key, watch in (("keep_best", train.keep_best), ("early_stopping", train.early_stopping)):
        if watch is None or watch.metric in network.scalars:
            continue
        if watch.metric in network.figures:
            wrong, fix = "is an array, not one number", "use one of them"
        else:
            wrong, fix = "is not computed", "use one of them, or add the metric to 'metrics'"
        raise ConfigError(
            f"train.{key} watches {watch.metric!r}, which {wrong}",
            where=Key("train", key, "metric"),
            why=f"the figures are {', '.join(network.scalars)}",
            fix=fix,
        )
    if train.early_stopping and "validation" not in data.splits:
        raise ConfigError(
            "early stopping needs a validation split",
            where=Key("train", "early_stopping"),
            why="dataset.validation_size is 0",
            fix="set dataset.validation_size, or remove early_stopping",
        )
