"""The training loop: a run's config, the network that it describes, and the trainer, which yields records."""

from dltrain.training.evaluation import Evaluator
from dltrain.training.network import Network, build_network
from dltrain.training.records import CheckpointSaved, EpochDone, Finished, Record, Started, StepDone
from dltrain.training.run_config import EarlyStopping, RunConfig, Train, Watched
from dltrain.training.state import TrainingState
from dltrain.training.trainer import Trainer

__all__ = [
    "CheckpointSaved",
    "EarlyStopping",
    "EpochDone",
    "Evaluator",
    "Finished",
    "Network",
    "Record",
    "RunConfig",
    "Started",
    "StepDone",
    "Train",
    "Trainer",
    "TrainingState",
    "Watched",
    "build_network",
]
