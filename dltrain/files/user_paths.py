"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path


def expand_user(path: str | os.PathLike[str]) -> Path:
    """The path with `~` or `~NAME` at its beginning replaced by that user's home, if there is one."""
    return Path(os.path.expanduser(path))
