"""Why a loss is not finite: the batch is run once more op by op, to find where it began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dltrain.autodiff import Tensor
from dltrain.autodiff.graph import Variable
from dltrain.autodiff.spec import Array
from dltrain.errors import DivergedError
from dltrain.execution import Session
from dltrain.places import Place

ADVICE = "lower optimizer.learning_rate, set optimizer.clip_norm, or scale the data"


class NonFiniteLoss(DivergedError):
    """A batch's loss is not finite; the variables are as they were before.

    Attributes:
        loss: name of the tensor.
        feeds: the batch: value of each placeholder by name.
    """

    def __init__(
        self, what: str, *, where: Place | str, why: str, fix: str, loss: str, feeds: Mapping[str, Array]
    ) -> None:
        super().__init__(what, where=where, why=why, fix=fix)
        self.loss, self.feeds = loss, feeds

    def told(self, *, what: str = "", fix: str = "") -> NonFiniteLoss:
        """The same error in other words."""
        what, fix = what or self.what, fix or self.fix
        return NonFiniteLoss(what, where=self.where, why=self.why, fix=fix, loss=self.loss, feeds=self.feeds)


@dataclass(frozen=True)
class Traced:
    """A node and its value for a batch."""

    node: Tensor
    value: Array

    @property
    def is_finite(self) -> bool:
        return self.value.dtype.kind != "f" or bool(np.isfinite(self.value).all())

    @property
    def range(self) -> str:
        """Such as `-0.5 .. 2.25`, of what is finite."""
        finite = self.value[np.isfinite(self.value)]
        return f"{finite.min():.3g} .. {finite.max():.3g}" if finite.size else "none"


def trace(session: Session, loss: Tensor, feeds: Mapping[Tensor, Array]) -> list[Traced]:
    """The loss and all that it is computed from, op by op, in the order in which it was built.

    Arguments:
        session: holds the variables, and does not change.
    """
    nodes = _needed_for(loss)
    plain = Session(loss.graph, passes=frozenset())
    plain.load_state(session.state())
    values = plain.run(nodes, feeds)
    return [Traced(node, np.asarray(value)) for node, value in zip(nodes, values, strict=True)]


def first_not_finite(traced: Sequence[Traced]) -> int | None:
    """The place of the first value that is not finite."""
    return next((place for place, each in enumerate(traced) if not each.is_finite), None)


def explained(
    error: DivergedError, session: Session, loss: Tensor, feeds: Mapping[Tensor, Array]
) -> NonFiniteLoss:
    """The error that names the first tensor on the way to the loss that is not finite.

    Arguments:
        error: what the run raised.
        session: its variables are as they were before that run.
        loss: what was not finite.
        feeds: what the run was fed.
    """
    traced = trace(session, loss, feeds)
    place = first_not_finite(traced)
    if place is None:  # only the faster way of computing it overflowed
        where, why = error.where, error.what
    else:
        where, why = traced[place].node.source, _reason(traced, place)
    return NonFiniteLoss(
        "the loss is not finite",
        where=where,
        why=why,
        fix=ADVICE,
        loss=loss.name,
        feeds={tensor.name: array.copy() for tensor, array in feeds.items()},
    )


def layer_of(node: Tensor) -> str:
    """The layer in which a node is, by the name that `dltrain validate` shows; empty where it is in none."""
    if node.source.section != "model":
        return ""
    return node.name.removeprefix("training/").removeprefix("evaluation/").rpartition("/")[0]


def check_finite(state: Mapping[str, Array], step: int) -> None:
    """Raises DivergedError, naming a variable, unless all values are finite; a checkpoint holds no others."""
    for name, array in state.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            what = f"training diverged by step {step}"
            raise DivergedError(what, where=name, why="some of its values are nan or inf", fix=ADVICE)


def _reason(traced: Sequence[Traced], place: int) -> str:
    node, by_node = traced[place].node, {each.node: each for each in traced}
    if isinstance(node, Variable):
        return f"variable {node.name} is not, which the step before made so"
    layer = f" in layer {layer_of(node)}" if layer_of(node) else ""
    ranges = [f"{source.name} within {by_node[source].range}" for source in dict.fromkeys(node.inputs)]
    return f"it begins at {node.name}{layer}, computed from {' and '.join(ranges)}"


def _needed_for(loss: Tensor) -> list[Tensor]:
    """The loss and all that it is computed from, in the order in which it was built."""
    needed = {loss}
    stack = [loss]
    while stack:
        new = set(stack.pop().inputs) - needed
        needed |= new
        stack.extend(new)
    return [node for node in loss.graph.nodes if node in needed]
