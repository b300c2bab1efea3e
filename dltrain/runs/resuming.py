"""Resuming: values, counters and files of a run as its newest whole checkpoint has them."""

from __future__ import annotations

import os
import warnings

from dltrain.datasets import Data
from dltrain.errors import DltrainWarning
from dltrain.execution import Session
from dltrain.runs.checkpoints import CheckpointStore
from dltrain.runs.directory import RunDirectory
from dltrain.runs.metrics_files import MetricsFiles, read_lines
from dltrain.runs.reporter import figures_told
from dltrain.runs.saved_state import SavedState
from dltrain.training.network import Network
from dltrain.training.state import TrainingState
from dltrain.training.surprises import warn_of_other_schedule


def restored(
    directory: RunDirectory, network: Network, session: Session, data: Data
) -> tuple[TrainingState, MetricsFiles]:
    """The counters and the open metrics files to go on with; the session gets the values.

    A run that was killed before its first checkpoint begins again. Warns of that, and of damaged checkpoints.

    Raises RunError when there is no usable checkpoint, or it does not fit.
    """
    store, config = CheckpointStore(directory.checkpoints), network.config
    if store.never_saved() and _told_little(directory):
        _warn(f"{directory.path} has no checkpoint yet: it begins again at its first step")
        directory.check_files(data.files)
        MetricsFiles.remove(directory.path)
        return TrainingState(), MetricsFiles.create(directory.path, **figures_told(network, data))
    run_id = directory.id
    checkpoint = store.load_newest(
        lambda _, error: _warn(f"{error}; an earlier checkpoint is used"),
        check=lambda checkpoint: SavedState.of(checkpoint, run_id),
    )
    saved = SavedState.of(checkpoint, run_id)
    was = saved.check_same_config(config, directory)
    saved.data.check_same(data)
    directory.check_files(data.files)
    examples = len(data.splits["train"])
    saved.counters.check_fits(config.steps_per_epoch(examples))
    network.load(session, checkpoint.arrays)
    totals = [each.total_steps(examples) for each in (was, config)]
    warn_of_other_schedule(config.optimizer, saved.counters.step, *totals)
    files = MetricsFiles.open(directory.path, **figures_told(network, data))
    files.truncate_to(saved.files)
    return saved.counters, files


def _told_little(directory: RunDirectory) -> bool:
    """Whether its figures are at most those of a first epoch, after which a checkpoint is saved."""
    lines = read_lines(directory.path) if os.path.lexists(directory.metrics) else ()
    return not directory.summary.exists() and sum(line.sha256 is not None for line in lines) <= 1


def _warn(line: str) -> None:
    warnings.warn(DltrainWarning(line), stacklevel=3)
