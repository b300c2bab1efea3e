"""Whether a run can be repeated: it is trained again, in memory, and compared with what its files say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path

from dltrain.autodiff import Graph
from dltrain.config import parse, parse_document, to_yaml
from dltrain.errors import ConfigError, RunError
from dltrain.execution import Session
from dltrain.execution.session import Kernels
from dltrain.runs.checkpoints import CheckpointStore
from dltrain.runs.directory import RunDirectory
from dltrain.runs.metrics_files import Line, check_length, read_lines
from dltrain.runs.run import Run
from dltrain.runs.saved_state import SavedState
from dltrain.runs.state_hash import hash_state
from dltrain.training.records import EpochDone, Record, Started, StepDone
from dltrain.training.run_config import RunConfig, Train
from dltrain.training.state import TrainingState
from dltrain.training.trainer import Trainer


class Verification:
    """Repeats a run, of which nothing is changed.

    Arguments:
        kernels: see `Session`.

    Attributes:
        kernels: which are used, "native" or "numpy".
        last_step: the last one that the run's files tell anything of.
        compared: how many losses and hashes have been compared.

    Raises RunError when the run's files are missing or damaged, or there is nothing to compare; DataError.
    """

    def __init__(self, directory: RunDirectory, kernels: Kernels = "auto") -> None:
        self._directory = directory
        native = Session(Graph(), kernels=kernels).kernels == "native"
        self.kernels: Kernels = "native" if native else "numpy"
        config = directory.load_config()[1]
        self._parts = _read_parts(directory, config)
        self._data = config.dataset.load()
        directory.warn_of_changed_files(self._data.files)
        self.last_step = max((line.step for line in self._recorded()), default=0)
        self._hashes: dict[int, str] = {}
        self._positions: list[Mapping[str, int]] = []
        store = CheckpointStore(directory.checkpoints)
        for step in store.steps() if store.folder.is_dir() else []:
            checkpoint = store.load(f"step-{step:08d}")
            saved = SavedState.of(checkpoint, directory.id)
            saved.check_same_config(config, directory)
            saved.data.check_same(self._data)
            self._positions.append(saved.files)
            self._hashes[step] = hash_state(checkpoint.arrays)
        self.last_step = max(self.last_step, *self._hashes, 0)
        if not self.last_step:
            fix = "train the run further, or with train.log_every=1"
            raise RunError("nothing to verify", where=str(directory.path), why="no step is recorded", fix=fix)
        self.compared = 0
        self._equal_until = 0
        self._lines = self._recorded()
        self._next = next(self._lines, None)

    def records(self) -> Iterator[Record]:
        """Trains up to the last step that is recorded; see `Trainer.fit`.

        Raises RunError at the first step that differs, or when lines are missing from `metrics.jsonl`.
        """
        for record, session in self._trained_again():
            match record:
                case StepDone():
                    self._compare_lines(record.step, "batch", record.loss, session)
                    if record.step in self._hashes:
                        path = self._directory.checkpoints / f"step-{record.step:08d}"
                        self._compare_hash(record.step, path, self._hashes.pop(record.step), session)
                case EpochDone():
                    self._compare_lines(record.step, "train", record.train["loss"], session)
            yield record
            if self._next is None and not self._hashes:
                for position in self._positions:  # asked last: what differs says more
                    check_length(self._directory.path, position)
                return
        raise self._difference(
            self._directory.path, f"the run tells of step {self.last_step}, where training has ended now"
        )

    def _recorded(self) -> Iterator[Line]:
        """The lines to be compared: what validation finds follows from the variables. Raises RunError."""
        step = 0
        for line in read_lines(self._directory.path):
            if line.split != "validation":
                if line.step < step or "loss" not in line.values:
                    why = f"step {line.step} follows step {step}, or has no loss"
                    raise RunError("damaged file", where=str(self._directory.metrics), why=why)
                step = line.step
                yield line

    def _trained_again(self) -> Iterator[tuple[Record, Session]]:
        """The records of all parts, and the session that holds the variables then."""
        data, state, arrays = self._data, TrainingState(), None
        if not any(config.train.early_stopping for config, _ in self._parts):  # nothing depends on validation
            splits = {name: split for name, split in data.splits.items() if name != "validation"}
            data = replace(data, splits=splits)
        for config, end in self._parts:
            run = Run(config, data=data, kernels=self.kernels)
            if arrays is not None:
                run.network.load(run.session, arrays)

            def should_stop(end: float = end) -> bool:
                return state.step >= end and (self._next is None or self._next.step > state.step)

            trainer = Trainer(
                run.network, run.training, run.session, data, state, lambda *_: Path(), should_stop
            )
            for record in trainer.fit():
                if not isinstance(record, Started):
                    yield record, run.session
                elif arrays is None:
                    yield replace(record, total_steps=self.last_step), run.session
                if isinstance(record, EpochDone) and record.step == end:
                    if state.batches == trainer.steps_per_epoch:
                        state.begin_epoch()
                    break
            arrays = run.session.state()

    def _compare_lines(self, step: int, split: str, loss: float, session: Session) -> None:
        """Compares what is recorded of a split at this step."""
        while (line := self._next) is not None and line.step <= step:
            if (line.step, line.split) != (step, split):
                if line.step == step:  # what comes later in the step
                    return
                why = f"it tells of {line.split!r} at step {line.step}, where there is nothing now"
                raise self._difference(self._directory.metrics, why)
            self._next = next(self._lines, None)
            self.compared += 1
            if line.values["loss"] != loss:
                of = "its batch" if split == "batch" else "the epoch"
                why = f"at step {step} the loss of {of} is {line.values['loss']!r} there, {loss!r} now"
                raise self._difference(self._directory.metrics, why)
            if line.sha256 is not None:
                self._compare_hash(step, self._directory.metrics, line.sha256, session)
            self._equal_until = step

    def _compare_hash(self, step: int, where: Path, recorded: str, session: Session) -> None:
        self.compared += 1
        now = hash_state(session.state())
        if recorded != now:
            why = f"after step {step} the SHA-256 of all variables is {recorded} there, {now} now"
            raise self._difference(where, why)
        self._equal_until = step

    def _difference(self, where: Path, why: str) -> RunError:
        step = self._equal_until
        until = f"all is equal up to step {step}" if step else "nothing was equal before"
        fix = "see whether data, dltrain, NumPy, kernels, the number of threads or the machine have changed"
        return RunError("run is not reproduced", where=str(where), why=f"{why} ({until})", fix=fix)


def _read_parts(directory: RunDirectory, config: RunConfig) -> list[tuple[RunConfig, float]]:
    """The parts of a run that were each trained at one go, from `run.json`.

    Those of which nothing is left are left out.

    Returns:
        of each, the config as it was then, and the step from which the run was resumed next; infinite for the
        last part.

    Raises:
        RunError: the record is damaged.
    """
    parts: list[tuple[RunConfig, float]] = []
    end = inf
    for step, train in reversed(directory.parts()):
        if step < end:  # else the run went on from before it, after a kill
            try:
                parsed = parse(Train, parse_document(to_yaml(train), str(directory.record_file)))
            except ConfigError as error:
                raise RunError("damaged file", where=str(directory.record_file), why=str(error)) from error
            parts.append((config.model_copy(update={"train": parsed}), end))
            end = step
    return parts[::-1]
