"""Errors for files of a run that are not as they were written."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from dltrain.errors import RunError

ORIGINAL_BACK = "put the original file back, or start a new run"


def damaged_file(path: Path, why: str) -> RunError:
    """The error for a file that all checkpoints of a run need."""
    return RunError("damaged file", where=str(path), why=why, fix=ORIGINAL_BACK)


def damaged_checkpoint(path: Path, why: str) -> RunError:
    """The error for a checkpoint, or a file of one, that must not be used."""
    fix = "use another checkpoint of the run, or train again"
    return RunError("damaged checkpoint", where=str(path), why=why, fix=fix)


def described(error: ValidationError) -> str:
    """What is wrong first with what a file says."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
