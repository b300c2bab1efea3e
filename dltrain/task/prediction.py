"""Predictions: what a model gives for a batch, and what it means by it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor


class Prediction(ABC):
    """What a model gives for a batch.

    Arguments:
        scores: float, `(batch, ...)`: what the model's last weighted sums are.

    Attributes:
        value: float, in the shape of `scores`: what a user wants to see.
        chooses: whether the greatest along the last axis is what is predicted.
        one, several: the words for the numbers of `value`.
        meaning: what `value` is, for errors.
        ending: how a model comes to give it, for errors.
    """

    chooses: ClassVar[bool] = False
    one: ClassVar[str] = "probability"
    several: ClassVar[str] = "probabilities"
    meaning: ClassVar[str]
    ending: ClassVar[str]

    def __init__(self, scores: Tensor) -> None:
        self.scores, self.value = scores, self.function(scores)

    @staticmethod
    @abstractmethod
    def function(scores: Tensor) -> Tensor:
        """`value`, as graph."""


class Point(Prediction):
    """Numbers: the scores themselves."""

    one, several, meaning = "value", "values", "numbers"
    ending = "end the model in neither softmax nor sigmoid"

    @staticmethod
    def function(scores: Tensor) -> Tensor:
        return scores


class Probabilities(Prediction):
    """Probabilities, of which a decision can be made."""

    meaning = "probabilities"
    ending = "end the model in softmax or sigmoid"

    @abstractmethod
    def decided(self) -> Tensor:
        """What is most probable, in the form of the target."""

    @abstractmethod
    def ranking(self) -> Tensor:
        """What grows with the probabilities, and tells apart those that round to the same, float64."""

    @abstractmethod
    def indicators(self, target: Tensor) -> Tensor:
        """1 for each class that is so, else 0, of a target or a decision: float64 `(batch, ..., classes)`."""


class Categorical(Probabilities):
    """Probabilities of classes, which exclude each other: the softmax of the scores along the last axis
    (Bridle, 1990).
    """

    chooses = True
    meaning = "probabilities of classes"
    ending = "end the model in softmax"

    @staticmethod
    def function(scores: Tensor) -> Tensor:
        return ops.softmax(scores)

    @property
    def classes(self) -> int:
        """How many there are."""
        (classes,) = self.scores.spec.with_shape(self.scores.shape[-1:]).sizes
        return classes

    def decided(self) -> Tensor:
        """The most probable class, int64; of classes that tie the first. The scores decide: probabilities so
        near 1 that they are equal still differ there.
        """
        return ops.argmax(self.scores)

    def ranking(self) -> Tensor:
        return ops.log_softmax(ops.cast(self.scores, "float64"))

    def indicators(self, target: Tensor) -> Tensor:
        return ops.one_hot(target, self.classes, dtype="float64")


class Bernoulli(Probabilities):
    """Probabilities of yes, each for itself: the sigmoid of the scores (Cox, 1958)."""

    meaning = "probabilities of yes or no"
    ending = "end the model in sigmoid (autoencoder: output_activation)"

    @staticmethod
    def function(scores: Tensor) -> Tensor:
        return ops.sigmoid(scores)

    def decided(self) -> Tensor:
        """1 where the probability is greater than a half, else 0, in the dtype of the scores."""
        return ops.cast(ops.greater(self.scores, 0), self.scores.dtype)

    def ranking(self) -> Tensor:
        return ops.cast(self.scores, "float64")

    def indicators(self, target: Tensor) -> Tensor:
        labels = ops.cast(target, "float64")
        return labels if labels.spec.rank > 1 else ops.expand_dims(labels, -1)
