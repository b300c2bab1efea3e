"""Targets as files hold them: checked, and made what is fed to a graph."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dltrain.datasets.reading import described
from dltrain.errors import DataError, DltrainWarning
from dltrain.task import LabelTarget, MultiLabelTarget, NumbersTarget, PositionsTarget, Target

MOST_CLASSES = 10**6  # a label beyond is a mistake, such as an identifier, and no model could be as wide


@dataclass(frozen=True)
class Stored:
    """The targets of the training or the test examples, and where they come from, for errors."""

    array: NDArray[Any]
    source: str

    @property
    def found(self) -> str:
        return f"it holds {described(self.array.shape, self.array.dtype)}"


class Reader(Protocol):
    """Reads one kind of target.

    Arguments:
        parts: the training examples' and the test examples'.
        known_classes: how many there are, where that is known without looking.

    Raises:
        DataError: they are not of that kind, or do not fit each other.
    """

    def __call__(self, parts: Sequence[Stored], known_classes: int | None) -> Target: ...


def read_label(parts: Sequence[Stored], known_classes: int | None) -> Target:
    """A class an example."""
    for part in parts:
        if part.array.ndim != 1 or part.array.dtype.kind not in "ui":
            fix = "give the number of each example's class, from 0, or set dataset.target"
            what = "labels must be one integer an example"
            raise DataError(what, where=part.source, why=part.found, fix=f"{fix} to {_other(part.array)}")
    return LabelTarget(_classes(parts, known_classes))


def read_positions(parts: Sequence[Stored], known_classes: int | None) -> Target:
    """A class at each position of an example."""
    for part in parts:
        if part.array.ndim < 2 or part.array.dtype.kind not in "ui":
            what, fix = "labels must be one integer a position", "give the number of each class, from 0"
            raise DataError(what, where=part.source, why=part.found, fix=fix)
    return PositionsTarget(_classes(parts, known_classes), _shape(parts))


def read_multi_label(parts: Sequence[Stored], known_classes: int | None) -> Target:
    """A yes or no, 1 or 0, for each label."""
    for part in parts:
        if not np.isin(part.array, (0, 1)).all():
            why = f"an entry is {part.array[~np.isin(part.array, (0, 1))][0]}"
            fix = "give 1 for each label that is so, or set dataset.target to label or numbers"
            raise DataError("labels must be 0 or 1", where=part.source, why=why, fix=fix)
    return MultiLabelTarget(_shape(parts))


def read_numbers(parts: Sequence[Stored], known_classes: int | None) -> Target:
    """Numbers, which float32 can hold."""
    for part in parts:
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite(part.array.astype(np.float32, copy=False))
        if not finite.all():
            example = int(np.argmin(finite.reshape(len(finite), -1).all(axis=1)))
            what, fix = "target that is not finite in float32", "correct or remove the example"
            raise DataError(what, where=part.source, why=f"in example {example}", fix=fix)
    return NumbersTarget(_shape(parts))


READERS: Mapping[str, Reader] = {
    "label": read_label,
    "positions": read_positions,
    "multi_label": read_multi_label,
    "numbers": read_numbers,
}
"""By the value of `dataset.target`."""


def _other(array: NDArray[Any]) -> str:
    """What `dataset.target` may be meant to be where it is no label."""
    if array.dtype.kind == "f":
        return "numbers"
    return "multi_label, where each is 0 or 1, or to positions"


def _shape(parts: Sequence[Stored]) -> tuple[int, ...]:
    """The shape of one example's target. Raises DataError where training and test differ in it."""
    train, test = parts
    if test.array.shape[1:] != train.array.shape[1:]:
        why = f"{test.found}, but training {described(train.array.shape, train.array.dtype)}"
        fix = "bring them to the same shape"
        raise DataError("training and test targets differ", where=test.source, why=why, fix=fix)
    return train.array.shape[1:]


def _classes(parts: Sequence[Stored], known: int | None) -> int:
    """How many classes there are; warns of those without an example. Raises DataError for what is none."""
    for part in parts:
        lowest, highest = int(part.array.min()), int(part.array.max())
        if lowest < 0 or highest >= MOST_CLASSES:
            why = f"a label is {lowest if lowest < 0 else highest}"
            fix = f"number the classes from 0; at most {MOST_CLASSES}"
            raise DataError("label out of range", where=part.source, why=why, fix=fix)
    train = parts[0]
    classes = known or int(train.array.max()) + 1
    for part in parts:
        if part.array.max() >= classes:
            why = f"a label is {part.array.max()}, but the classes are 0 to {classes - 1}"
            fix = "correct the labels" if known else "correct these or the training labels"
            raise DataError("label out of range", where=part.source, why=why, fix=fix)
    labels = train.array.reshape(-1).astype(np.int64)
    empty = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if len(empty):
        if labels.min() == 1:
            why = f"its labels are 1 to {labels.max()}"
            line = f"no example of class 0: {train.source}: {why}; number the classes from 0"
        else:
            named = ", ".join(map(str, empty[:5])) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
            line = f"no example of some classes: {train.source}: of 0 to {classes - 1} it lacks {named}"
        warnings.warn(DltrainWarning(line), stacklevel=5)
    return classes
