"""What every data set is: a component that loads checked examples, split into train, validation and test."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from dltrain.config import Component
from dltrain.datasets.file_digest import FileDigest
from dltrain.datasets.order import validation_choice
from dltrain.datasets.reading import described
from dltrain.datasets.source import DTYPES, ArraySource, Source
from dltrain.datasets.split import Split
from dltrain.datasets.targets import READERS, Stored
from dltrain.errors import ConfigError, DataError
from dltrain.places import Key
from dltrain.task import InputTarget, Target

BLOCK_VALUES = 2**18  # how many inputs are checked at a time


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples as files hold them.

    Attributes:
        inputs: [examples, *input_shape], uint8 or floating; or a `Source` of them.
        targets: [examples, ...], as `Dataset.target` says; None when that is the input.
        inputs_source, targets_source: where they come from, for errors.
        files: digests of the files that were read, taken before; empty if they come from none.
    """

    inputs: NDArray[Any] | Source
    targets: NDArray[Any] | None
    inputs_source: str
    targets_source: str
    files: tuple[FileDigest, ...] = ()

    @property
    def source(self) -> Source:
        """The inputs."""
        return self.inputs if isinstance(self.inputs, Source) else ArraySource(self.inputs)


@dataclass(frozen=True, slots=True)
class Data:
    """A loaded data set.

    Attributes:
        splits: "train", "validation" (absent if its size is 0) and "test".
        input_shape: of one example, such as (28, 28).
        target: what the model is to give.
        files: a digest of each file that was read, in the order of reading; empty if there is none.
    """

    splits: Mapping[str, Split]
    input_shape: tuple[int, ...]
    target: Target
    files: tuple[FileDigest, ...] = ()


class Dataset(Component, kind="dataset"):
    """Keys that all data sets have. A subclass says how its files are read."""

    known_classes: ClassVar[int | None] = None
    """How many classes there are, where that is known without looking at the labels."""

    validation_size: int | None = Field(
        default=None, ge=0, description="training examples kept apart for validation; null for a tenth"
    )
    scale: float | None = Field(
        default=None,
        gt=0,
        description="what stored values are multiplied by; null for 1/255 if they are bytes, else 1",
    )
    target: Literal["label", "positions", "multi_label", "numbers", "input"] = Field(
        default="label",
        description="what the model is to give: 'label', one of several classes; 'positions', one at each "
        "position; 'multi_label', several, each 0 or 1; 'numbers'; or its own 'input' (an autoencoder)",
    )

    @field_validator("*", mode="after")
    @classmethod
    def _expand_user(cls, value: Any) -> Any:
        return Path(os.path.expanduser(value)) if isinstance(value, Path) else value

    @property
    def has_targets(self) -> bool:
        """Whether targets are to be read, which is not so where they are the inputs."""
        return self.target != "input"

    @property
    def paths(self) -> dict[str, Path]:
        """Where the files are: the keys whose values are paths."""
        return {key: value for key, value in self if isinstance(value, Path)}

    def with_absolute_paths(self) -> Self:
        """The same data set, found from any folder: its relative paths begin at the current one."""
        return self.model_copy(update={key: Path.cwd() / path for key, path in self.paths.items()})

    @abstractmethod
    def read(self) -> tuple[Examples, Examples]:
        """The training and the test examples, unchecked; targets are None unless `has_targets`.

        Raises DataError when a file is missing or damaged.
        """

    def load(self) -> Data:
        """Reads the files, checks them, and splits the training examples into train and validation.

        Which examples validate is a pseudo-random choice that depends on neither the run's seed nor NumPy's
        version, only on the number of examples and on `validation_size`.

        Raises:
            DataError: a file is missing or damaged, or they do not fit each other.
            ConfigError: `validation_size` leaves nothing to train on.
        """
        parts = train, test = self.read()
        sources = train_inputs, test_inputs = [part.source for part in parts]
        for source, part in zip(sources, parts, strict=True):
            self._check_inputs(source, part.inputs_source)
        shape = train_inputs.shape
        if test_inputs.shape != shape or _is_bytes(test_inputs) != _is_bytes(train_inputs):
            of_train, of_test = (described(source.shape, source.dtype) for source in sources)
            why = f"an example is {of_test}, but {of_train} in training"
            fix = "bring them to the same shape and type"
            raise DataError("training and test inputs differ", where=test.inputs_source, why=why, fix=fix)
        target, (train_targets, test_targets) = self._targets(parts, sources)
        scale = self.input_scale(train_inputs.dtype)
        size = self._size_of_validation(len(train_inputs), train.inputs_source)
        splits = {
            name: Split(train_inputs, train_targets, rows, scale)
            for name, rows in zip(
                ("train", "validation"), validation_choice(len(train_inputs), size), strict=True
            )
            if len(rows)
        }
        splits["test"] = Split(test_inputs, test_targets, np.arange(len(test_inputs)), scale)
        files = tuple(dict.fromkeys(train.files + test.files))
        return Data(splits, shape, target, files)

    def _targets(
        self, parts: Sequence[Examples], sources: Sequence[Source]
    ) -> tuple[Target, list[NDArray[Any] | None]]:
        """What is asked for, and the targets of the parts as they are fed; see `load` for errors."""
        found = [Stored(each.targets, each.targets_source) for each in parts if each.targets is not None]
        if not self.has_targets:
            return InputTarget(sources[0].shape), [None for _ in parts]
        target = READERS[self.target](found, self.known_classes)
        for part, source, stored in zip(parts, sources, found, strict=True):
            if len(source) != len(stored.array):
                why = f"{len(stored.array)} labels for {len(source)} inputs in {part.inputs_source}"
                fix = "give files that belong together"
                raise DataError("inputs and labels differ in number", where=stored.source, why=why, fix=fix)
        return target, [stored.array.astype(target.dtype) for stored in found]

    def input_scale(self, dtype: np.dtype[Any]) -> float:
        """What inputs stored as `dtype` are multiplied by."""
        if self.scale is not None:
            return self.scale
        return 1 / 255 if dtype == np.uint8 else 1.0

    def _check_inputs(self, source: Source, where: str) -> None:
        """
        Raises:
            DataError: the inputs are neither bytes, nor floating and finite in float32.
            ConfigError: `scale` makes one infinite.
        """
        if not source.shape:
            what = "inputs must have a dimension for the examples and others for their values"
            fix = "reshape them, or name the file of the inputs"
            why = f"it holds {described((len(source),), source.dtype)}"
            raise DataError(what, where=where, why=why, fix=fix)
        if source.dtype not in DTYPES:
            why = f"they are {source.dtype}"
            raise DataError("inputs must be uint8 or floating", where=where, why=why, fix="convert them")
        if _is_bytes(source):
            return
        largest = 0.0
        for start, inputs in _blocks(source):
            finite = np.isfinite(inputs)
            if not finite.all():
                example = start + int(np.argmin(finite.reshape(len(finite), -1).all(axis=1)))
                what, fix = "input that is not finite in float32", "correct or remove the example"
                raise DataError(what, where=where, why=f"in example {example}", fix=fix)
            if self.scale is not None and self.scale > 1:
                largest = max(largest, float(np.abs(inputs).max()))
        if self.scale is not None and largest * self.scale > float(np.finfo(np.float32).max):
            why = f"it is {self.scale:g}, and an input in {where} is {largest:g}"
            key = Key("dataset", "scale")
            raise ConfigError("scale is too large for the inputs", where=key, why=why, fix="lower it")

    def _size_of_validation(self, examples: int, where: str) -> int:
        size = examples // 10 if self.validation_size is None else self.validation_size
        if size >= examples:
            what, key = "validation_size must leave examples to train on", Key("dataset", "validation_size")
            why = f"it is {size}, and {where} holds {examples} examples"
            raise ConfigError(what, where=key, why=why, fix=f"give at most {examples - 1}")
        return size


def _blocks(source: Source) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """All inputs, some at a time: they may be more than memory holds. With the number of the first."""
    size = max(1, BLOCK_VALUES // math.prod(source.shape))
    block = np.empty((min(size, len(source)), *source.shape), source.dtype)
    for start in range(0, len(source), size):
        rows = np.arange(start, min(start + size, len(source)))
        stored = block[: len(rows)]
        source.take(rows, stored)
        with np.errstate(over="ignore", invalid="ignore"):  # invalid: signalling NaN
            yield start, stored.astype(np.float32, copy=False)


def _is_bytes(source: Source) -> bool:
    return source.dtype == np.uint8
