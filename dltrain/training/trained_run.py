"""A run that was trained, opened to be used: its config, and its model with the values of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dltrain.autodiff import Session
from dltrain.autodiff.session import Kernels
from dltrain.config import Document, load_document, parse
from dltrain.datasets import Data
from dltrain.errors import ConfigError, GraphError, RunError
from dltrain.training.checkpoints import CheckpointStore
from dltrain.training.network import Network, build_network
from dltrain.training.run_config import RunConfig
from dltrain.training.run_directory import RunDirectory


@dataclass(frozen=True)
class TrainedRun:
    """A model as a checkpoint has it.

    Attributes:
        step: of the checkpoint.
        described_data: what `describe_data` said of the data set that the model was trained on.
    """

    config: RunConfig
    network: Network
    session: Session
    step: int
    described_data: dict[str, Any]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example, such as (28, 28)."""
        return tuple(self.described_data["input_shape"])

    @property
    def classes(self) -> int | None:
        """Number of classes; None of an autoencoder."""
        classes: int | None = self.described_data["classes"]
        return classes


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
    described = loaded.trainer_state["data"]
    try:
        network = build_network(config, tuple(described["input_shape"]), described["classes"])
        session = Session(network.graph, kernels=kernels)
        network.load(session, loaded.arrays)
    except (ConfigError, GraphError, RunError) as error:
        raise RunError(
            "checkpoint and config do not fit",
            where=str(loaded.path),
            why=f"{error.where}: {error.why}",
            fix="use a checkpoint of this run, or restore its config.yaml",
        ) from error
    return TrainedRun(config, network, session, loaded.step, described)


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


def describe_data(data: Data) -> dict[str, Any]:
    """What of a data set must stay as it is while a run goes on; plain data."""
    return {
        "input_shape": list(data.input_shape),
        "classes": data.classes,
        "examples": {name: len(split) for name, split in data.splits.items()},
    }


def check_same_data(trained_on: dict[str, Any], data: Data) -> None:
    """Raises RunError when the data set is not of the form that the run was trained on."""
    now = describe_data(data)
    for key, before in trained_on.items():
        if now[key] != before:
            raise RunError(
                "the data set has changed since the run began",
                where="dataset",
                why=f"its {key.replace('_', ' ')} was {before}, and is {now[key]}",
                fix="put the original files back, or start a new run",
            )


def _damaged(error: ConfigError) -> RunError:
    first = error.problems[0]
    why = ": ".join(part for part in (first.what, first.why) if part)
    return RunError("damaged config of a run", where=first.where, why=why, fix="put the original file back")
