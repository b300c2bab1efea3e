"""Names of run directories: making new ones, and finding the run that a user means."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

from dltrain.errors import DltrainError, RunError
from dltrain.files.atomic import sync_folder
from dltrain.files.storage_errors import storage_errors
from dltrain.runs.record import not_a_run, read_record
from dltrain.training.run_config import RunConfig

SUFFIX_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def new_run_folder(runs: Path, name: str, now: datetime) -> Path:
    """Makes a directory with a new name below `runs`; at any moment, only one process can make it."""
    RunConfig.check_name(name)
    with storage_errors(runs, "cannot create run directory"):
        runs.mkdir(parents=True, exist_ok=True)
        while True:
            suffix = "".join(secrets.choice(SUFFIX_LETTERS) for _ in range(4))
            path = runs / f"{name}-{now:%Y%m%d-%H%M%S}-{suffix}"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            sync_folder(runs)
            return path


def find_run(reference: str, runs: Path) -> Path:
    """The directory of the run that `reference` means.

    That is a path, a unique prefix of a name below `runs`, or `latest`.

    Raises RunError when there is none, or more than one.
    """
    known = _runs_below(runs)
    if reference == "latest":
        if not known:
            raise RunError("no run yet", where=str(runs), fix="train one: dltrain fit CONFIG")
        return max(known, key=_started)
    path = Path(reference)
    if reference and _is_run(path):
        return path
    names = [run.name for run in known]
    matches = [name for name in names if reference and name.startswith(reference)]
    if reference in matches or len(matches) == 1:
        return runs / (reference if reference in matches else matches[0])
    if matches:
        what, why = f"more than one run starts with {reference!r}", _listed(matches)
        raise RunError(what, where=str(runs), why=why, fix="type more of the name")
    if reference and os.path.isfile(path / "lock") and not os.path.exists(path / "metrics.jsonl"):
        why = "it was stopped before its run.json was written"
        fix = f"start it again: dltrain fit CONFIG --run-dir {shlex.quote(str(path))}"
        raise RunError("run has not begun", where=str(path), why=why, fix=fix)
    if reference and os.path.isdir(path):
        raise not_a_run(path)
    near = get_close_matches(reference, names, n=3, cutoff=0.5)
    why = "" if names else "there are no runs"
    fix = f"did you mean {_listed(near)}?" if near else "give a path, a prefix of a run's name, or latest"
    raise RunError(f"no run named {reference!r}", where=str(runs), why=why, fix=fix)


def _started(run: Path) -> str:
    """When the run began, as text that sorts; a run whose record is damaged counts as the oldest."""
    try:
        return str(read_record(run / "run.json").get("started", ""))
    except DltrainError:
        return ""


def _is_run(path: Path) -> bool:
    return os.path.isfile(path / "run.json")  # False, where Path.is_file raises, if it may not be looked at


def _runs_below(runs: Path) -> list[Path]:
    with storage_errors(runs, "cannot read"):
        return sorted(path for path in runs.iterdir() if _is_run(path)) if runs.is_dir() else []


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
