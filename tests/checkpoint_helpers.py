"""Small checkpoints for the tests of checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from dltrain.errors import RunError
from dltrain.runs.checkpoints import CheckpointStore


def arrays(step: int) -> dict[str, np.ndarray]:
    return {"dense/weights": np.full((2, 3), step, np.float32), "step": np.array(step)}


def save(store: CheckpointStore, step: int, *, best: bool = False) -> Path:
    return store.save(step, step // 2, arrays(step), {"patience": step}, best)


def fail(path: Path, error: RunError) -> None:
    raise AssertionError(f"{path} reported as damaged: {error}")


def names(store: CheckpointStore) -> list[str]:
    return sorted(os.listdir(store.folder))


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
