"""MNIST and whatever else is published as the same four files (Fashion-MNIST, KMNIST)."""

from __future__ import annotations

import shlex
from pathlib import Path

from pydantic import Field

from dltrain.datasets.dataset import Dataset, Examples
from dltrain.datasets.idx import read_part
from dltrain.datasets.published import MNIST, PublishedFile
from dltrain.errors import DataError


class Mnist(Dataset, name="mnist"):
    """MNIST (LeCun, Cortes and Burges, 1998): 60,000 training and 10,000 test images, 28 x 28, of digits."""

    known_classes = 10

    root: Path = Field(
        default=Path("data/mnist"),
        description="folder of the four IDX files, below the current folder; .gz or not",
    )
    validation_size: int | None = Field(
        default=5000, ge=0, description="training images kept apart for validation; null for a tenth"
    )

    def read(self) -> tuple[Examples, Examples]:
        train_images, train_labels, test_images, test_labels = MNIST.files
        return self._read_part(train_images, train_labels), self._read_part(test_images, test_labels)

    def _read_part(self, images: PublishedFile, labels: PublishedFile) -> Examples:
        return read_part(self._find(images), self._find(labels) if self.has_targets else None)

    def _find(self, file: PublishedFile) -> Path:
        path = file.find(self.root)
        if path is None:
            why = f"no {file.name}.gz in it" if self.root.exists() else "no such folder"
            fix = f"run `dltrain download-mnist --dir {shlex.quote(str(self.root))}`"
            raise DataError("no MNIST data", where=str(self.root), why=why, fix=fix)
        return path
