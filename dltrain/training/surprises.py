"""What is allowed but seldom meant: a warning in one line each, and training goes on."""

from __future__ import annotations

import warnings

from dltrain.autodiff import Graph
from dltrain.autodiff.leaves import as_tensor
from dltrain.errors import DltrainWarning
from dltrain.execution import Session
from dltrain.optimizers import Optimizer
from dltrain.training.run_config import RunConfig


def warn_of_large_batch(config: RunConfig, examples: int) -> None:
    """Warns when a batch takes more examples than the training split has."""
    size = config.train.batch_size
    if size > examples:
        why = f"it is {size}, and there are {examples} examples to train on"
        line = f"batch larger than the training split: train.batch_size: {why}; each step takes all of them"
        warnings.warn(DltrainWarning(line), stacklevel=2)


def warn_of_other_schedule(optimizer: Optimizer, step: int, before: int, now: int) -> None:
    """Warns when training that has made `step` updates goes on at another learning rate than was planned.

    Arguments:
        before, now: steps of the whole training, as it was planned and as it is now.
    """
    if before == now:
        return
    was, is_now = (_learning_rate(optimizer, step, total) for total in (before, now))
    if was != is_now:
        why = f"the rate of step {step + 1} was {was:.3g}, of {before} steps, and is {is_now:.3g}, of {now}"
        line = f"the learning rate follows another schedule: optimizer.schedule: {why}"
        warnings.warn(DltrainWarning(f"{line}; start a new run for one schedule throughout"), stacklevel=2)


def _learning_rate(optimizer: Optimizer, step: int, total_steps: int) -> float:
    with Graph() as graph:
        rate = optimizer.learning_rate_at(as_tensor(step), total_steps)
    return float(Session(graph, kernels="numpy").run(rate))
