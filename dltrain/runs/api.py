"""Runs in one call, for Python: `dl.fit` trains one, `dl.load_run` opens one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dltrain.execution.session import Kernels
from dltrain.runs.directory import RunDirectory
from dltrain.runs.run import Run
from dltrain.training.config_file import load_config, located


def fit(
    config: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    run_dir: str | Path | None = None,
    kernels: Kernels = "auto",
) -> Run:
    """Trains what a config describes, as `dltrain fit` does, and says nothing while it does.

        run = dl.fit("configs/mlp.yaml", {"optimizer.learning_rate": 1e-3, "train.epochs": 3})

    Who wants to follow it iterates over `Run.records` (see there), or looks with TensorBoard.

    Arguments:
        config: the YAML file.
        overrides: key path, such as "model.layers.0.units" -> value: numbers, text, lists, dicts, None.
        run_dir: the run's directory, empty or not there yet; None for a new one below `runs/`.
        kernels: see `Session`.

    Returns:
        the run, with the values of its best checkpoint.

    Raises:
        DltrainError: as the command would print it, with the config's file, line and column.
    """
    texts = [f"{key}={json.dumps(value, default=_plain)}" for key, value in (overrides or {}).items()]
    document, parsed = load_config(Path(config), texts)
    with located(document):
        run = Run(parsed, kernels=kernels)
        name = parsed.name or parsed.model.component_name
        with (
            RunDirectory.create(None if run_dir is None else Path(run_dir), name=name) as directory,
            run.start(directory, source=document.text, command=sys.argv, overrides=texts),
        ):
            for _ in run.records():
                pass
            run.evaluate_best(["test"])
    return run


def load_run(run: str | Path = "latest", checkpoint: str = "best", *, kernels: Kernels = "auto") -> Run:
    """Opens a run that was trained, with the values of one of its checkpoints.

    Arguments:
        run: its path, the beginning of its name below `runs/`, or "latest".
        checkpoint: "best", "last", or the name of one, such as "step-00000469".
        kernels: see `Session`.

    Raises:
        RunError: there is no such run or checkpoint, or it is damaged.
    """
    return Run.open(RunDirectory.open(str(run)), checkpoint, kernels)


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's, and paths as text, for JSON."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)
