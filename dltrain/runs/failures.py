"""A step, or a batch of an evaluation, whose loss is not finite: saved in the run's `failure/`, and repeated.

The folder is a checkpoint that holds the values of the variables before the step and, under names that begin
with `batch:`, of the placeholders.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dltrain.autodiff import Tensor
from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Array
from dltrain.errors import DivergedError
from dltrain.execution import Session
from dltrain.execution.tracing import Traced
from dltrain.files.atomic import sync_folder
from dltrain.files.storage_errors import storage_errors
from dltrain.files.temporary import temporary_folder
from dltrain.runs.checkpoints import Checkpoint, write_checkpoint
from dltrain.runs.damage import damaged_checkpoint
from dltrain.runs.saved_state import DescribedFailure, SavedState
from dltrain.training.divergence import DivergedBatch, explained, loss_limit, trace_batch

if TYPE_CHECKING:
    from dltrain.runs.run import Run

_BATCH = "batch:"


def save_failure(path: Path, error: DivergedBatch, variables: Mapping[str, Array], state: SavedState) -> None:
    """Makes the folder `path`, in place of an earlier failure; it is whole or absent. Raises StorageError."""
    arrays = {**variables, **{_BATCH + name: array for name, array in error.feeds.items()}}
    failed = state.model_copy(update={"failure": DescribedFailure(loss=error.loss, why=error.why)})
    step, epoch = state.counters.step, state.counters.epoch
    with storage_errors(path, "cannot save the step that failed"):
        with temporary_folder(path) as temporary, temporary_folder(path) as earlier:
            write_checkpoint(temporary, Checkpoint(step, epoch, arrays, failed.model_dump(), None, path))
            if os.path.lexists(path):
                os.rename(path, earlier / path.name)
            os.rename(temporary, path)
        sync_folder(path.parent)


@dataclass(frozen=True)
class Failure:
    """What failed, ready to be repeated; had by `Run.failure`.

    Attributes:
        step: how many steps were made before.
        program: what was run.
        first_loss: see `loss_limit`.
        feeds: the batch.
        why: what the error said.
    """

    step: int
    session: Session
    program: Program
    first_loss: float | None
    feeds: dict[Tensor, Array]
    why: str

    @classmethod
    def of(cls, checkpoint: Checkpoint, run: Run) -> Self:
        """What a checkpoint that `save_failure` wrote holds; the run has its values already.

        Raises RunError when it holds no such thing.
        """
        failure = SavedState.of(checkpoint, run.directory.id).failure
        if failure is None:
            raise damaged_checkpoint(checkpoint.path, "it does not tell what failed")
        feeds = {}
        for tensor in run.network.fed:
            array = checkpoint.arrays.get(_BATCH + tensor.name)
            if array is None or array.dtype != tensor.dtype or array.shape[1:] != tensor.shape[1:]:
                raise damaged_checkpoint(checkpoint.path, f"it holds no batch for {tensor.name}")
            feeds[tensor] = array
        evaluating = run.network.evaluating(run.network.scalars)
        programs = {program.guards[0].name: program for program in (run.training, evaluating)}
        program = programs.get(failure.loss)
        if program is None:
            raise damaged_checkpoint(checkpoint.path, f"{failure.loss!r} is no loss of the run")
        first_loss = run.state.first_loss if checkpoint.step and program is run.training else None
        return cls(checkpoint.step, run.session, program, first_loss, feeds, failure.why)

    def trace(self) -> list[Traced]:
        """See `trace_batch`."""
        return trace_batch(self.session, self.program, self.feeds)

    def again(self) -> DivergedBatch | None:
        """The error that the step raises now; None if it does not fail."""
        bound = self.session.compile(self.program).bind(batch=len(self.feeds[self.program.inputs[0]]))
        for array, value in zip(bound.inputs, self.feeds.values(), strict=True):
            array[...] = value
        try:
            bound(loss_limit(self.first_loss))
        except DivergedError as error:
            return explained(error, self.session, self.program, self.feeds, self.first_loss)
        return None
