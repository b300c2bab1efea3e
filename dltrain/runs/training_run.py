"""A run from start to end: config and data set, run directory, checkpoints, files, and the trainer."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from dltrain.config import Document, dump, to_yaml
from dltrain.datasets import Data
from dltrain.errors import (
    DivergedError,
    DltrainError,
    RequirementError,
    StoppedError,
    StorageError,
    Terminated,
)
from dltrain.execution import Session
from dltrain.execution.session import Kernels
from dltrain.files.atomic import write_atomically
from dltrain.runs.checkpoints import CheckpointStore
from dltrain.runs.directory import RunDirectory, Status
from dltrain.runs.environment import describe_environment, differences
from dltrain.runs.event_files import EventFiles
from dltrain.runs.failures import save_failure
from dltrain.runs.metrics_files import MetricsFiles, write_summary
from dltrain.runs.reporters import EventReporter, MetricsReporter, Reporter
from dltrain.runs.saved_state import SavedState
from dltrain.training.divergence import NonFiniteLoss, check_finite
from dltrain.training.evaluation import Evaluator, Figures, plain_figures
from dltrain.training.network import Network, Training, build_network
from dltrain.training.records import Finished, Record
from dltrain.training.run_config import RunConfig
from dltrain.training.state import TrainingState
from dltrain.training.trainer import Trainer, check_watched


@dataclass(frozen=True)
class Prepared:
    """All that a config describes, loaded and built, before anything is written."""

    config: RunConfig
    data: Data
    network: Network
    training: Training


def prepare(config: RunConfig) -> Prepared:
    """Loads the data set and builds the graph.

    Raises:
        ConfigError, GraphError: parts of the config don't fit each other, or the data; with the key.
        DataError: the data set is missing or damaged.
    """
    return assemble(config, config.dataset.load())


def assemble(config: RunConfig, data: Data) -> Prepared:
    """Builds the graph for a data set that is loaded; raises ConfigError or GraphError as `prepare`."""
    network = build_network(config, data.input_shape, data.classes)
    training = network.add_training(config.total_steps(len(data.splits["train"])))
    check_watched(network, data)
    return Prepared(config, data, network, training)


@dataclass
class TrainingRun:
    """A locked run directory and what trains in it; made by `start` or `resume`.

    As a context manager it notes in `run.json` how the run ended, and closes its files.

    Attributes:
        evaluation_batches: how many batches of a split each evaluation looks at; None for all.
    """

    directory: RunDirectory
    prepared: Prepared
    session: Session
    state: TrainingState
    metrics_files: MetricsFiles
    event_files: EventFiles
    evaluation_batches: int | None = None

    @classmethod
    def start(
        cls,
        prepared: Prepared,
        directory: RunDirectory,
        *,
        kernels: Kernels = "auto",
        document: Document,
        command: Sequence[str] = (),
        overrides: Sequence[str] = (),
    ) -> Self:
        """A new run in an empty directory that is locked.

        Arguments:
            kernels: see `Session`.
            document: the config as the user wrote it; `command` and `overrides`: see `RunDirectory.begin`.
        """
        session = Session(prepared.network.graph, kernels=kernels)
        directory.begin(
            config=to_yaml(dump(prepared.config)),
            source_config=document.text.encode(),
            command=command,
            overrides=overrides,
            seed=prepared.config.seed,
            train=dump(prepared.config.train),
            environment=describe_environment(session.kernels),
        )
        files, events = _new_metrics_files(prepared, directory), EventFiles(directory.tensorboard)
        return cls(directory, prepared, session, TrainingState(), files, events)

    @classmethod
    def resume(
        cls,
        prepared: Prepared,
        directory: RunDirectory,
        *,
        kernels: Kernels = "auto",
        command: Sequence[str] = (),
        warn: Callable[[str], None],
    ) -> Self:
        """The run in a directory that is locked, from its newest whole checkpoint on.

        Arguments:
            kernels: see `Session`.
            prepared: of the run's config, of which only `CHANGEABLE` keys may have changed.
            warn: told, a line each, of damaged checkpoints and of what may change the bits of the result.

        Raises RunError when there is no usable checkpoint, or it does not fit.
        """
        run_id, before = directory.id, directory.record()
        session = Session(prepared.network.graph, kernels=kernels)
        store = CheckpointStore(directory.checkpoints)
        if store.never_saved():
            warn(f"{directory.path} has no checkpoint yet: it begins again at its first step")
            MetricsFiles.remove(directory.path)
            state, files = TrainingState(), _new_metrics_files(prepared, directory)
        else:
            checkpoint = store.load_newest(
                lambda path, error: warn(f"{error}; an earlier checkpoint is used"),
                check=lambda checkpoint: SavedState.of(checkpoint, run_id),
            )
            saved = SavedState.of(checkpoint, run_id)
            saved.check_same_config(prepared.config, directory)
            saved.data.check_same(prepared.data)
            prepared.network.load(session, checkpoint.arrays)
            state = TrainingState.from_plain(saved.counters)
            state.check_fits(prepared.config.steps_per_epoch(len(prepared.data.splits["train"])))
            files = MetricsFiles.open(directory.path)
            files.truncate_to(saved.files)
        now = describe_environment(session.kernels)
        if changed := differences(before, now):
            warn(f"results may differ in their last bits: {', '.join(changed)}")
        train = dump(prepared.config.train)
        directory.resume(step=state.step, train=train, command=command, environment=now)
        write_atomically(directory.config, to_yaml(dump(prepared.config)).encode())
        return cls(directory, prepared, session, state, files, EventFiles(directory.tensorboard, state.step))

    def records(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """Trains; see `Trainer.fit`. What a record tells is in the run's files before the record is given."""
        prepared = self.prepared
        log_every = prepared.config.train.log_every
        reporters: list[Reporter] = [
            MetricsReporter(self.metrics_files, self.session, log_every),
            EventReporter(self.event_files, prepared.network, self.session, prepared.data, log_every),
        ]
        trainer = Trainer(
            prepared.network,
            prepared.training,
            self.session,
            prepared.data,
            self.state,
            self._save,
            should_stop,
            self.evaluation_batches,
        )
        try:
            for record in trainer.fit():
                for reporter in reporters:
                    reporter.report(record)
                if isinstance(record, Finished):
                    write_summary(self.directory.summary, record)
                yield record
        except NonFiniteLoss as error:
            raise self._kept(error) from None

    def evaluate_best(self, splits: Iterable[str]) -> dict[str, Figures]:
        """The figures of the best checkpoint on each of the splits; those of "test" go into `summary.json`.

        The session holds the best checkpoint's values afterwards.
        """
        best = self._store.load("best")
        SavedState.of(best, self.directory.id)
        self.prepared.network.load(self.session, best.arrays)
        evaluate = Evaluator(self.session, self.prepared.network, batches=self.evaluation_batches)
        figures = {split: evaluate(self.prepared.data.splits[split]) for split in splits}
        if "test" in figures:
            summary = json.loads(self.directory.summary.read_text())
            summary["test"] = plain_figures(figures["test"])
            write_atomically(self.directory.summary, json.dumps(summary, indent=1).encode() + b"\n")
        return figures

    @property
    def _store(self) -> CheckpointStore:
        return CheckpointStore(self.directory.checkpoints)

    def _save(self, state: TrainingState, best: bool) -> Path:
        arrays = self.session.state()
        check_finite(arrays, state.step)
        return self._store.save(state.step, state.last_epoch, arrays, self._saved_state().model_dump(), best)

    def _saved_state(self) -> SavedState:
        config, data = self.prepared.config, self.prepared.data
        return SavedState.make(self.directory.id, config, self.state, self.metrics_files.position(), data)

    def _kept(self, error: NonFiniteLoss) -> NonFiniteLoss:
        """The error, which says how to see it again if variables and batch could be saved."""
        try:
            save_failure(self.directory.failure, error, self.session.state(), self._saved_state())
        except StorageError as trouble:
            return error.told(fix=f"{error.fix}; the step was not saved: {trouble}")
        path = shlex.quote(str(self.directory.path))
        return error.told(fix=f"{error.fix}; to see the step op by op: dltrain replay {path}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        problems = [error] if error else []
        for close in (self.metrics_files.close, self.event_files.close):
            with _noting(problems):
                close()
        with _noting(problems):
            self.directory.finish(*_ending(problems[0] if problems else None))
        if problems and error is None:  # what went wrong first is told
            raise problems[0]


@contextmanager
def _noting(problems: list[BaseException]) -> Iterator[None]:
    """Adds an error of the block to `problems`."""
    try:
        yield
    except DltrainError as error:
        problems.append(error)


def _new_metrics_files(prepared: Prepared, directory: RunDirectory) -> MetricsFiles:
    figures = prepared.network.evaluation.scalars if "validation" in prepared.data.splits else ()
    return MetricsFiles.create(directory.path, train=["loss"], validation=figures)


def _ending(error: BaseException | None) -> tuple[Status, int]:
    """What `run.json` says of a run that ended so: status and exit code."""
    match error:
        case None:
            return "completed", 0
        case RequirementError():
            return "completed", error.exit_code
        case DivergedError():
            return "diverged", error.exit_code
        case StoppedError():
            return "stopped", error.exit_code
        case Terminated(signal_number=number):
            return "stopped", 128 + number
        case KeyboardInterrupt():
            return "stopped", 130
        case DltrainError():
            return "failed", error.exit_code
    return "failed", 1
