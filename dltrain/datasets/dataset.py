"""What every data set is: a component that loads checked examples, split into train, validation and test."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
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
        inputs: [examples, *input_shape], uint8 or floating.
        targets: [examples, ...], as `Dataset.target` says; None when that is the input.
        inputs_source, targets_source: where they come from, for errors.
        files: digests of the files that were read, taken before; empty if they come from none.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any] | None
    inputs_source: str
    targets_source: str
    files: tuple[FileDigest, ...] = ()


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
        train, test = self.read()
        for part in (train, test):
            _check_inputs(part.inputs, part.inputs_source)
        input_shape = train.inputs.shape[1:]
        if test.inputs.shape[1:] != input_shape or _is_bytes(test.inputs) != _is_bytes(train.inputs):
            of_train, of_test = (described(x.shape[1:], x.dtype) for x in (train.inputs, test.inputs))
            why = f"an example is {of_test}, but {of_train} in training"
            fix = "bring them to the same shape and type"
            raise DataError("training and test inputs differ", where=test.inputs_source, why=why, fix=fix)
        target, (train_targets, test_targets) = self._targets([train, test])
        for part in (train, test):
            self._check_scale(part)
        scale = self.input_scale(train.inputs.dtype)
        choice = validation_choice(len(train.inputs), self._size_of_validation(train))
        splits = {
            name: Split(train.inputs, train_targets, rows, scale)
            for name, rows in zip(("train", "validation"), choice, strict=True)
            if len(rows)
        }
        splits["test"] = Split(test.inputs, test_targets, np.arange(len(test.inputs)), scale)
        files = tuple(dict.fromkeys(train.files + test.files))
        return Data(splits, input_shape, target, files)

    def _targets(self, parts: Sequence[Examples]) -> tuple[Target, list[NDArray[Any] | None]]:
        """What is asked for, and the targets of the parts as they are fed; see `load` for errors."""
        found = [Stored(each.targets, each.targets_source) for each in parts if each.targets is not None]
        if not self.has_targets:
            return InputTarget(parts[0].inputs.shape[1:]), [None for _ in parts]
        target = READERS[self.target](found, self.known_classes)
        for part, stored in zip(parts, found, strict=True):
            if len(part.inputs) != len(stored.array):
                why = f"{len(stored.array)} labels for {len(part.inputs)} inputs in {part.inputs_source}"
                fix = "give files that belong together"
                raise DataError("inputs and labels differ in number", where=stored.source, why=why, fix=fix)
        return target, [stored.array.astype(target.dtype) for stored in found]

    def input_scale(self, dtype: np.dtype[Any]) -> float:
        """What inputs stored as `dtype` are multiplied by."""
        if self.scale is not None:
            return self.scale
        return 1 / 255 if dtype == np.uint8 else 1.0

    def _check_scale(self, part: Examples) -> None:
        """Raises ConfigError when `scale` makes an input infinite."""
        if self.scale is None or self.scale <= 1 or _is_bytes(part.inputs):
            return
        largest = max(abs(float(part.inputs.min())), abs(float(part.inputs.max())))
        if largest * self.scale > float(np.finfo(np.float32).max):
            what, where = "scale is too large for the inputs", Key("dataset", "scale")
            why = f"it is {self.scale:g}, and an input in {part.inputs_source} is {largest:g}"
            raise ConfigError(what, where=where, why=why, fix="lower it")

    def _size_of_validation(self, train: Examples) -> int:
        examples = len(train.inputs)
        size = examples // 10 if self.validation_size is None else self.validation_size
        if size >= examples:
            what, where = "validation_size must leave examples to train on", Key("dataset", "validation_size")
            why = f"it is {size}, and {train.inputs_source} holds {examples} examples"
            raise ConfigError(what, where=where, why=why, fix=f"give at most {examples - 1}")
        return size


def _check_inputs(inputs: NDArray[Any], source: str) -> None:
    """Raises DataError unless the inputs are bytes, or floating and finite in float32."""
    if inputs.ndim < 2:
        what = "inputs must have a dimension for the examples and others for their values"
        fix = "reshape them, or name the file of the inputs"
        raise DataError(what, where=source, why=f"it holds {described(inputs.shape, inputs.dtype)}", fix=fix)
    if _is_bytes(inputs):
        return
    if inputs.dtype.kind != "f":
        why = f"they are {inputs.dtype.name}"
        raise DataError("inputs must be uint8 or floating", where=source, why=why, fix="convert them")
    # In blocks: the inputs may be mapped from a file that is larger than memory.
    block = max(1, BLOCK_VALUES // math.prod(inputs.shape[1:]))
    for start in range(0, len(inputs), block):
        with np.errstate(over="ignore", invalid="ignore"):  # invalid: signalling NaN
            finite = np.isfinite(inputs[start : start + block].astype(np.float32, copy=False))
        if not finite.all():
            example = start + int(np.argmin(finite.reshape(len(finite), -1).all(axis=1)))
            what, fix = "input that is not finite in float32", "correct or remove the example"
            raise DataError(what, where=source, why=f"in example {example}", fix=fix)


def _is_bytes(inputs: NDArray[Any]) -> bool:
    return inputs.dtype == np.uint8
