"""Data sets: what a config's `dataset:` can name, and how their files are read and downloaded."""

from __future__ import annotations

from dltrain.datasets.dataset import Data, Dataset, Examples
from dltrain.datasets.file_digest import FileDigest
from dltrain.datasets.idx import Idx, read_idx
from dltrain.datasets.mnist import Mnist
from dltrain.datasets.npz import Npz, read_npz_array
from dltrain.datasets.order import epoch_order
from dltrain.datasets.source import Source
from dltrain.datasets.split import Split

__all__ = [
    "Data",
    "Dataset",
    "Examples",
    "FileDigest",
    "Idx",
    "Mnist",
    "Npz",
    "Source",
    "Split",
    "epoch_order",
    "read_idx",
    "read_npz_array",
]
