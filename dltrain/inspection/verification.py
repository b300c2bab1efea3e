"""Whether a run can be repeated: it is trained again, in memory, and compared with what its files say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from math import inf
from pathlib import Path
from typing import Any

from dltrain.autodiff import Graph
from dltrain.config import dump, parse, parse_document, to_yaml
from dltrain.errors import ConfigError, RunError
from dltrain.execution import Session
from dltrain.execution.session import Kernels
from dltrain.files.storage_errors import storage_errors
from dltrain.runs.checkpoints import CheckpointStore
from dltrain.runs.directory import RunDirectory
from dltrain.runs.saved_state import SavedState
from dltrain.runs.state_hash import hash_state
from dltrain.runs.training_run import assemble
from dltrain.training.records import EpochDone, Record, Started, StepDone
from dltrain.training.run_config import RunConfig
from dltrain.training.state import TrainingState
from dltrain.training.trainer import Trainer


@dataclass(frozen=True)
class Recorded:
    """What a run's files say of a step.

    Attributes:
        where: the file.
        loss: of the step's batch, or the mean of the epoch; None if it is not told.
        sha256: of all variables after the step; None if it is not told.
    """

    where: Path
    loss: float | None
    sha256: str | None


@dataclass(frozen=True)
class Course:
    """A part of a run that was trained at one go.

    Attributes:
        config: as it was then.
        end: the step from which the run was resumed next; infinite for the last part.
    """

    config: RunConfig
    end: float


class Verification:
    """Repeats a run, of which nothing is changed.

    Arguments:
        config: of the run.
        kernels: see `Session`.

    Attributes:
        kernels: which are used, "native" or "numpy".
        last_step: the last one that the run's files tell anything of.
        compared: how many losses and hashes have been compared.

    Raises RunError when the run's files are missing or damaged, or there is nothing to compare; DataError.
    """

    def __init__(self, directory: RunDirectory, config: RunConfig, kernels: Kernels = "auto") -> None:
        self._directory = directory
        self.kernels: Kernels = Session(Graph(), kernels=kernels).kernels
        self._courses = read_courses(directory, config)
        self._data = config.dataset.load()
        self._expected = read_metrics(directory.path / "metrics.jsonl")
        store = CheckpointStore(directory.checkpoints)
        for step in store.steps() if store.folder.is_dir() else []:
            checkpoint = store.load(f"step-{step:08d}")
            saved = SavedState.of(checkpoint, directory.id)
            saved.check_same_config(config, directory)
            saved.data.check_same(self._data)
            self._expected[step, "checkpoint"] = Recorded(
                checkpoint.path, None, hash_state(checkpoint.arrays)
            )
        if not self._expected:
            fix = "train the run further, or with train.log_every=1"
            raise RunError("nothing to verify", where=str(directory.path), why="no step is recorded", fix=fix)
        self.last_step = max(step for step, _ in self._expected)
        self.compared = 0
        self._equal_until = 0

    def records(self) -> Iterator[Record]:
        """Trains up to the last step that is recorded; see `Trainer.fit`.

        Raises RunError at the first step that differs.
        """
        for record, session in self._trained_again():
            match record:
                case StepDone():
                    self._compare(record.step, "batch", record.loss, session)
                    self._compare(record.step, "checkpoint", None, session)
                case EpochDone():
                    self._compare(record.step, "train", record.train["loss"], session)
            yield record
            if not self._expected:
                return
        raise self._difference(
            self._directory.path, f"the run tells of step {self.last_step}, where training has ended now"
        )

    def _trained_again(self) -> Iterator[tuple[Record, Session]]:
        """The records of all courses, and the session that holds the variables then."""
        data, state, arrays = self._data, TrainingState(), None
        if not any(course.config.train.early_stopping for course in self._courses):  # nothing depends on it
            splits = {name: split for name, split in data.splits.items() if name != "validation"}
            data = replace(data, splits=splits)
        for course in self._courses:
            if state.step >= course.end:
                continue
            prepared = assemble(course.config, data)
            session = Session(prepared.network.graph, kernels=self.kernels)
            if arrays is not None:
                prepared.network.load(session, arrays)

            def should_stop(end: float = course.end) -> bool:
                return state.step >= end and (state.step, "train") not in self._expected

            trainer = Trainer(
                prepared.network, prepared.training, session, data, state, lambda *_: Path(), should_stop
            )
            for record in trainer.fit():
                if not isinstance(record, Started):
                    yield record, session
                elif arrays is None:
                    yield replace(record, total_steps=self.last_step), session
                if isinstance(record, EpochDone) and record.step == course.end:
                    if state.batches == trainer.steps_per_epoch:
                        state.begin_epoch()
                    break
            arrays = session.state()

    def _compare(self, step: int, split: str, loss: float | None, session: Session) -> None:
        recorded = self._expected.pop((step, split), None)
        if recorded is None:
            return
        if recorded.loss is not None:
            self.compared += 1
            if recorded.loss != loss:
                of = "its batch" if split == "batch" else "the epoch"
                why = f"at step {step} the loss of {of} is {recorded.loss!r} there, {loss!r} now"
                raise self._difference(recorded.where, why)
        if recorded.sha256 is not None:
            self.compared += 1
            now = hash_state(session.state())
            if recorded.sha256 != now:
                why = f"after step {step} the SHA-256 of all variables is {recorded.sha256} there, {now} now"
                raise self._difference(recorded.where, why)
        self._equal_until = step

    def _difference(self, where: Path, why: str) -> RunError:
        until = (
            f"all is equal up to step {self._equal_until}"
            if self._equal_until
            else "nothing was equal before"
        )
        fix = "see whether data, dltrain, NumPy, kernels, the number of threads or the machine have changed"
        return RunError("run is not reproduced", where=str(where), why=f"{why} ({until})", fix=fix)


def read_courses(directory: RunDirectory, config: RunConfig) -> list[Course]:
    """The parts of a run, from `run.json`, which tells when it was resumed and what changed then.

    Raises RunError when that is damaged.
    """
    record = directory.record()
    entries = [record | {"step": 0}, *record["resumed"]]
    try:
        starts = [int(entry["step"]) for entry in entries]
        configs = [_with_train(config, entry["train"], directory.record_file) for entry in entries]
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        why = f"it does not tell how the run was trained ({error!r})"
        raise RunError("damaged file", where=str(directory.record_file), why=why) from error
    # After a kill, a run may go on from a step before the one from which it was resumed last.
    ends = [*accumulate(reversed(starts[1:]), min, initial=inf)][::-1]
    return [Course(config, end) for config, end in zip(configs, ends, strict=True)]


def _with_train(config: RunConfig, train: Any, source: Path) -> RunConfig:
    try:
        return parse(RunConfig, parse_document(to_yaml(dump(config) | {"train": train}), str(source)))
    except ConfigError as error:
        raise RunError("damaged file", where=str(source), why=str(error)) from error


def read_metrics(path: Path) -> dict[tuple[int, str], Recorded]:
    """The losses and hashes in `metrics.jsonl`, by step and split; a line that is cut off is left out.

    Raises RunError when it is damaged.
    """
    recorded = {}
    with storage_errors(path, "cannot read"), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                entry = json.loads(line)
                step, split, loss = int(entry["step"]), str(entry["split"]), float(entry["values"]["loss"])
                sha256 = entry.get("sha256")
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
                raise RunError(
                    "damaged file", where=f"{path}:{number}", why=f"no line of metrics ({error!r})"
                ) from error
            if split != "validation":  # what follows from the variables
                recorded[step, split] = Recorded(path, loss, sha256)
    return recorded
