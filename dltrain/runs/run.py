"""A run: the one way in for whoever trains a model, or uses one that was trained.

    config -> data -> network -> session -> values of a checkpoint -> files

A new run is `Run(config)`, which writes nothing, then `start`; one that was stopped goes on by `resume`; one
that was trained is had by `open`, and the step that it failed at by `failure`:

    run = Run(config)
    with RunDirectory.create() as directory, run.start(directory, source=text):
        for record in run.records():
            ...
    run = Run.open(RunDirectory.open("latest"))
    run.evaluate("test")["accuracy"], run.predict(images), run.variables, run.metrics["validation"]["loss"]
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Self

from numpy.typing import ArrayLike

from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Array
from dltrain.config import dump, to_yaml
from dltrain.datasets import Data
from dltrain.errors import (
    ConfigError,
    DltrainError,
    DltrainWarning,
    GraphError,
    RunError,
    UsageError,
    ending,
)
from dltrain.execution import Session
from dltrain.execution.session import Kernels
from dltrain.files.atomic import write_atomically
from dltrain.runs.checkpoints import Checkpoint, CheckpointStore, read_checkpoint
from dltrain.runs.directory import RunDirectory
from dltrain.runs.environment import describe_environment, differences
from dltrain.runs.failures import Failure
from dltrain.runs.metrics_files import MetricsFiles, read_columns
from dltrain.runs.reporter import Reporter, figures_told
from dltrain.runs.resuming import restored
from dltrain.runs.saved_state import DescribedData, SavedState
from dltrain.training.divergence import DivergedBatch
from dltrain.training.evaluation import Evaluator, Figures, plain_figures
from dltrain.training.network import build_network
from dltrain.training.prediction import predict
from dltrain.training.records import Record
from dltrain.training.run_config import RunConfig
from dltrain.training.state import TrainingState
from dltrain.training.surprises import warn_of_large_batch
from dltrain.training.trainer import Trainer, check_watched


class Run:
    """A config, the network that it describes, and a session with the values of its variables.

    As a context manager, after `start` or `resume`, it notes in `run.json` how training ended, and closes its
    files; the values stay.

    Arguments:
        data: its data set; None to load it, at once if `trained_on` is None, else when it is first used.
        trained_on: the form of the data set that it was trained on; None if it was not.
        kernels: see `Session`.

    Attributes:
        network, session: what computes, and the values.
        state: the counters that belong to the values.
        evaluation_batches: how many batches of a split each evaluation looks at; None for all.

    Raises:
        ConfigError, GraphError: parts of the config don't fit each other, or the data; with the key.
        DataError: the data set is missing or damaged.
    """

    _directory: RunDirectory | None = None
    _reporter: Reporter | None = None
    evaluation_batches: int | None = None

    def __init__(
        self,
        config: RunConfig,
        *,
        data: Data | None = None,
        trained_on: DescribedData | None = None,
        kernels: Kernels = "auto",
    ) -> None:
        if trained_on is None:
            data = data or config.dataset.load()
            trained_on = DescribedData.of(data)
        self.config, self.trained_on, self._data, self._kernels = config, trained_on, data, kernels
        self.network = build_network(config, tuple(trained_on.input_shape), trained_on.target)
        self.state = TrainingState()
        if data is not None:  # it may be trained: all that is wrong is told before anything is written
            check_watched(self.network, data)
            warn_of_large_batch(config, len(data.splits["train"]))
            _ = self.training

    @cached_property
    def training(self) -> Program:
        """What a training step computes."""
        examples = self.trained_on.examples.get("train", 1)
        return self.network.add_training(self.config.total_steps(examples))

    @cached_property
    def session(self) -> Session:
        return Session(self.network.graph, kernels=self._kernels)

    @property
    def data(self) -> Data:
        """Its data set. Raises DataError; RunError when it is not of the form that the run was trained on."""
        if self._data is None:
            data = self.config.dataset.load()
            self.trained_on.check_same(data)
            self.directory.warn_of_changed_files(data.files)
            self._data = data
        return self._data

    @property
    def directory(self) -> RunDirectory:
        """Where it lies. Raises UsageError before `start` or `resume`."""
        if self._directory is None:
            raise UsageError("the run has no directory", why="it has not begun", fix="begin it with start")
        return self._directory

    @property
    def _reports(self) -> Reporter:
        """What writes its files. Raises UsageError when it is not in training."""
        if self._reporter is None:
            why, fix = "it has ended, or was opened as it is", "train a new one, or dltrain fit --resume"
            raise UsageError("the run is not in training", where=repr(self), why=why, fix=fix)
        return self._reporter

    def __repr__(self) -> str:
        where = f"'{self._directory.path}'" if self._directory else "not started"
        return f"Run({where}, {self.config.model.component_name}, step {self.state.step})"

    # --- training ---

    def start(
        self,
        directory: RunDirectory,
        *,
        source: str,
        command: Sequence[str] = (),
        overrides: Sequence[str] = (),
    ) -> Self:
        """Begins in an empty directory that is locked.

        Arguments:
            source: the config as the user wrote it.
            command, overrides: see `RunDirectory.begin`.
        """
        self._directory = directory
        directory.begin(
            config=self._found_anywhere(),
            source_config=source.encode(),
            command=command,
            overrides=overrides,
            seed=self.config.seed,
            train=dump(self.config.train),
            files=self.data.files,
            environment=describe_environment(self.session.kernels),
        )
        with self._ended_by_error():
            columns = figures_told(self.network, self.data)
            self._open_files(MetricsFiles.create(directory.path, **columns))
        return self

    def resume(self, directory: RunDirectory, *, command: Sequence[str] = ()) -> Self:
        """Goes on in a directory that is locked, from its newest whole checkpoint on.

        Only `CHANGEABLE` keys of the config may have changed since. Warns of damaged checkpoints and of what
        may change the bits of the result.

        Arguments:
            command: see `RunDirectory.begin`.

        Raises RunError when there is no usable checkpoint, or it does not fit.
        """
        self._directory, before = directory, directory.record()
        self.state, files = restored(directory, self.network, self.session, self.data)
        now = describe_environment(self.session.kernels)
        if changed := differences(before, now):
            line = f"results may differ in their last bits: {', '.join(changed)}"
            warnings.warn(DltrainWarning(line), stacklevel=2)
        train = dump(self.config.train)
        directory.resume(
            step=self.state.step, train=train, command=command, files=self.data.files, environment=now
        )
        with self._ended_by_error():
            write_atomically(directory.config, self._found_anywhere().encode())
            self._open_files(files)
        return self

    def records(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """Trains; see `Trainer.fit`. What a record tells is in the run's files before the record is given."""
        reporter = self._reports
        parts = (self.network, self.training, self.session, self.data, self.state)
        trainer = Trainer(*parts, reporter.save, should_stop, self.evaluation_batches)
        try:
            for record in trainer.fit():
                reporter.report(record)
                yield record
        except DivergedBatch as error:
            reporter.keep(error)
            raise

    def evaluate_best(self, splits: Iterable[str]) -> dict[str, Figures]:
        """The figures of the best checkpoint on each of the splits; those of "test" go into `summary.json`.

        The session holds the best checkpoint's values afterwards.
        """
        self.load("best")
        figures = {split: self.evaluate(split) for split in splits}
        if "test" in figures:
            summary = json.loads(self.directory.summary.read_text())
            summary["test"] = plain_figures(figures["test"])
            write_atomically(self.directory.summary, json.dumps(summary, indent=1).encode() + b"\n")
        return figures

    def _found_anywhere(self) -> str:
        """The config as YAML that holds in every folder."""
        return to_yaml(dump(self.config.with_absolute_paths()))

    def _open_files(self, metrics: MetricsFiles) -> None:
        parts = (self.network, self.session, self.data, self.state)
        self._reporter = Reporter(self.directory, metrics, *parts)

    def __enter__(self) -> Self:
        _ = self._reports
        return self

    @contextmanager
    def _ended_by_error(self) -> Iterator[None]:
        """Notes how the run ended when the block, after which it would be in training, raises."""
        try:
            yield
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        problems = [ending(error)] if error else []

        def finish() -> None:
            status, code = (problems[0].status, problems[0].exit_code) if problems else ("completed", 0)
            self.directory.finish(status, code)

        reporter, self._reporter = self._reporter, None
        closings = (reporter.metrics.close, reporter.events.close) if reporter else ()
        for close in (*closings, finish):
            try:
                close()
            except DltrainError as trouble:
                problems.append(trouble)
        if problems and error is None:  # what went wrong first is told
            raise problems[0]

    # --- what was trained ---

    @classmethod
    def open(cls, directory: RunDirectory, checkpoint: str = "best", kernels: Kernels = "auto") -> Self:
        """The run as one of its checkpoints has it; its data set is loaded when it is first used.

        Arguments:
            checkpoint: see `CheckpointStore.load`.
            kernels: see `Session`.

        Raises RunError when config or checkpoint is missing or damaged, or they don't fit each other.
        """
        return cls._of(directory, CheckpointStore(directory.checkpoints).load(checkpoint), kernels)

    @classmethod
    def failure(cls, directory: RunDirectory, kernels: Kernels = "auto") -> Failure:
        """What failed in a run, ready to be repeated; its data set is not needed.

        Raises RunError when nothing did, or its files are damaged or don't fit the run's config.
        """
        path = directory.failure
        if not path.is_dir():
            fix = "only a run whose loss is not finite leaves one"
            raise RunError("run has no step that failed", where=str(directory.path), fix=fix)
        checkpoint = read_checkpoint(path)
        return Failure.of(checkpoint, cls._of(directory, checkpoint, kernels, trains=True))

    @classmethod
    def _of(
        cls, directory: RunDirectory, checkpoint: Checkpoint, kernels: Kernels, *, trains: bool = False
    ) -> Self:
        """The run with the values of a checkpoint of it; with those that only training needs if `trains`."""
        saved, config = SavedState.of(checkpoint, directory.id), directory.load_config()[1]
        try:
            run = cls(config, trained_on=saved.data, kernels=kernels)
            if trains:
                _ = run.training
            run.network.load(run.session, checkpoint.arrays)
        except (ConfigError, GraphError, RunError) as error:
            where, why = str(checkpoint.path), f"{error.where}: {error.why}"
            fix = "use a checkpoint of this run, or restore its config.yaml"
            raise RunError("checkpoint and config do not fit", where=where, why=why, fix=fix) from error
        saved.check_same_config(config, directory)  # of the same shape, it may compute something else
        run._directory, run.state = directory, saved.counters
        return run

    def load(self, checkpoint: str) -> None:
        """Takes the values of one of its checkpoints; see `CheckpointStore.load`. Raises RunError."""
        loaded = CheckpointStore(self.directory.checkpoints).load(checkpoint)
        self.network.load(self.session, loaded.arrays)
        self.state = SavedState.of(loaded, self.directory.id).counters

    @property
    def metrics(self) -> dict[str, dict[str, Array]]:
        """What its files tell of "train", "validation" and "batch", as far as there is any.

        Returns:
            for each of them "step" and "epoch", int64[lines], and its figures, float64[lines], nan where a
            line has none.
        """
        return read_columns(self.directory.path)

    @property
    def variables(self) -> dict[str, Array]:
        """Copies of the values of all variables, by name."""
        return self.session.state()

    def evaluate(self, split: str = "test") -> Figures:
        """The loss and all metrics on "train", "validation" or "test". Raises UsageError for another one."""
        if split not in self.data.splits:
            why = "dataset.validation_size is 0" if split == "validation" else ""
            raise UsageError(f"the run has no {split} split", why=why)
        evaluate = Evaluator(self.session, self.network, batches=self.evaluation_batches)
        return evaluate(self.data.splits[split])

    def predict(self, inputs: ArrayLike) -> Array:
        """What the model gives: probabilities, float32[examples, classes], numbers, or reconstructions.

        Arguments:
            inputs: [examples, *input_shape], or one example, uint8 or floating. They are scaled as the run's
                data set scales values of their dtype: for MNIST, uint8 becomes 0 .. 1, and float32 stays.

        Raises DataError when inputs are of another shape or dtype, or so large that what the model gives is
        not finite.
        """
        return predict(self.session, self.network, inputs, where=repr(self))
