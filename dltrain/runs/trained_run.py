"""A run that was trained, opened to be used: its config, and its model with the values of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from dltrain.config import Document, load_document, parse
from dltrain.errors import ConfigError, GraphError, RunError
from dltrain.execution import Session
from dltrain.execution.session import Kernels
from dltrain.runs.checkpoints import CheckpointStore
from dltrain.runs.directory import RunDirectory
from dltrain.runs.saved_state import DescribedData, SavedState
from dltrain.training.network import Network, build_network
from dltrain.training.run_config import RunConfig


@dataclass(frozen=True)
class TrainedRun:
    """A model as a checkpoint has it.

    Attributes:
        step: of the checkpoint.
        trained_on: the data set that the model was trained on.
    """

    config: RunConfig
    network: Network
    session: Session
    step: int
    trained_on: DescribedData

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example, such as (28, 28)."""
        return tuple(self.trained_on.input_shape)

    @property
    def classes(self) -> int | None:
        """Number of classes; None of an autoencoder."""
        return self.trained_on.classes


def load_trained(directory: RunDirectory, checkpoint: str = "best", kernels: Kernels = "auto") -> TrainedRun:
    """The run's model with the values of one of its checkpoints.

    Arguments:
        checkpoint: see `CheckpointStore.load`.
        kernels: see `Session`.

    Raises RunError when config or checkpoint is missing or damaged, or they don't fit each other.
    """
    document = read_config(directory)
    config = parse_config(document)
    loaded = CheckpointStore(directory.checkpoints).load(checkpoint)
    saved = SavedState.of(loaded, directory.id)
    data = saved.data
    try:
        network = build_network(config, tuple(data.input_shape), data.classes)
        session = Session(network.graph, kernels=kernels)
        network.load(session, loaded.arrays)
    except (ConfigError, GraphError, RunError) as error:
        raise RunError(
            "checkpoint and config do not fit",
            where=str(loaded.path),
            why=f"{error.where}: {error.why}",
            fix="use a checkpoint of this run, or restore its config.yaml",
        ) from error
    saved.check_same_config(config, directory)  # of the same shape, it may compute something else
    return TrainedRun(config, network, session, loaded.step, data)


def read_config(directory: RunDirectory) -> Document:
    """The run's `config.yaml`. Raises RunError when it is missing or damaged."""
    try:
        return load_document(directory.config)
    except ConfigError as error:
        raise _damaged(error) from error


def parse_config(document: Document) -> RunConfig:
    """The config that `read_config` gave. Raises RunError when it is damaged."""
    try:
        return parse(RunConfig, document)
    except ConfigError as error:
        raise _damaged(error) from error


def _damaged(error: ConfigError) -> RunError:
    first = error.problems[0]
    why = ": ".join(part for part in (first.what, first.why) if part)
    return RunError("damaged config of a run", where=first.where, why=why, fix="put the original file back")
