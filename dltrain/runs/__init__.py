"""What a run leaves on disk, and how it is opened again."""

from dltrain.runs.api import fit, load_run
from dltrain.runs.directory import RunDirectory
from dltrain.runs.run import Run

__all__ = ["Run", "RunDirectory", "fit", "load_run"]
