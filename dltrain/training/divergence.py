"""Why a batch made training diverge: it is run once more node by node, to find where that began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np

from dltrain.autodiff import Tensor, Variable
from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Array
from dltrain.errors import DivergedError
from dltrain.execution import Session, trace
from dltrain.execution.tracing import Traced, first_not_finite
from dltrain.places import Place

LARGEST_RISE = 1e5  # of a loss over that of the first step, which is taken as 1 at least
ADVICE = "lower optimizer.learning_rate, set optimizer.clip_norm, or scale the data"


class DivergedBatch(DivergedError):
    """A batch made training diverge; the variables are as they were before.

    Attributes:
        loss: name of the program's loss.
        feeds: the batch: value of each placeholder by name.
    """

    def __init__(
        self, program: Program, feeds: Mapping[Tensor, Array], *, where: Place | str, why: str
    ) -> None:
        super().__init__("the batch diverged", where=where, why=why, fix=ADVICE)
        self.loss = program.guards[0].name
        self.feeds = {tensor.name: array.copy() for tensor, array in feeds.items()}


def loss_limit(first_loss: float | None) -> float:
    """The loss at which training has diverged though it is finite still; none (infinite) for the first."""
    return inf if first_loss is None else LARGEST_RISE * max(1.0, first_loss)


def explained(
    error: DivergedError,
    session: Session,
    program: Program,
    feeds: Mapping[Tensor, Array],
    first_loss: float | None,
) -> DivergedBatch:
    """The error that names the first tensor on the way to what is not finite.

    Arguments:
        error: what the run raised.
        session: its variables are as they were before that run.
        program: what was run; its guards are the loss and what its updates must not be made of.
        feeds: what the run was fed.
        first_loss: see `loss_limit`.
    """
    traced = trace_batch(session, program, feeds)
    place = first_not_finite(traced)
    where: Place | str
    loss = next(float(each.value) for each in traced if each.node is program.guards[0])
    if place is None and first_loss is not None and loss >= loss_limit(first_loss):
        where, why = "the loss", f"it rose from {first_loss:.3g} at the first step to {loss:.3g}"
    elif place is None:  # only the faster way of computing it overflowed
        where, why = error.where, error.line
    else:
        where, why = traced[place].node.source, _reason(traced, place)
        broken = {each.node for each in traced if not each.is_finite}
        names = [v.name for v, value in program.updates.pairs if v.trainable and value in broken]
        if names and broken.isdisjoint(program.guards):
            why = f"the new value of {names[0]} would not be finite, {why}"
    return DivergedBatch(program, feeds, where=where, why=why)


def trace_batch(session: Session, program: Program, feeds: Mapping[Tensor, Array]) -> list[Traced]:
    """What the loss is computed from, node by node; where it is finite, what the new values are, too."""
    traced = trace(session, program.guards, feeds)
    if first_not_finite(traced) is None and program.updates.guards:
        new_values = [value for _, value in program.updates.pairs]
        traced = trace(session, [*program.guards, *new_values], feeds)
    return traced


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
    scope, *layer = node.name.split("/")[:-1] or [""]  # the layer as `dltrain validate` names it
    inside = layer and node.source.section == "model" and scope in ("training", "evaluation")
    where = f" in layer {'/'.join(layer)}" if inside else ""
    ranges = [f"{source.name} within {by_node[source].range}" for source in dict.fromkeys(node.inputs)]
    return f"it begins at {node.name}{where}, computed from {' and '.join(ranges)}"
