"""Why a loss is not finite: the batch is run once more op by op, to find where it began."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dltrain.autodiff import Session, Tensor
from dltrain.autodiff.spec import Array
from dltrain.autodiff.variable import Variable
from dltrain.errors import DivergedError

ADVICE = "lower optimizer.learning_rate, or set optimizer.clip_norm"


def explained(
    error: DivergedError, session: Session, loss: Tensor, feeds: Mapping[Tensor, Array]
) -> DivergedError:
    """The error that names the first tensor on the way to the loss that is not finite.

    Arguments:
        error: what the run raised.
        session: its variables are as they were before that run.
        loss: what was not finite.
        feeds: what the run was fed.
    """
    nodes = _needed_for(loss)
    plain = Session(loss.graph, passes=frozenset())
    plain.load_state(session.state())
    values = dict(zip(nodes, plain.run(nodes, feeds), strict=True))
    what = "the loss is not finite"
    for node in nodes:
        if node.spec.is_float and not np.isfinite(values[node]).all():
            if isinstance(node, Variable):
                why = f"variable {node.name} is not, since the step before"
            else:
                why = f"it begins at {node.name}" + "".join(
                    f", whose input {source.name} is within {np.min(values[source]):.3g} and "
                    f"{np.max(values[source]):.3g}"
                    for source in node.inputs[:1]
                )
            return DivergedError(what, where=node.source, why=why, fix=ADVICE)
    # Only the faster way of computing it overflowed.
    return DivergedError(what, where=error.where, why=error.what, fix=ADVICE)


def check_finite(state: Mapping[str, Array], step: int) -> None:
    """Raises DivergedError, naming a variable, unless all values are finite; a checkpoint holds no others."""
    for name, array in state.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            what = f"training diverged by step {step}"
            raise DivergedError(what, where=name, why="some of its values are nan or inf", fix=ADVICE)


def _needed_for(loss: Tensor) -> list[Tensor]:
    """The loss and all that it is computed from, in the order in which it was built."""
    needed = {loss}
    stack = [loss]
    while stack:
        new = set(stack.pop().inputs) - needed
        needed |= new
        stack.extend(new)
    return [node for node in loss.graph.nodes if node in needed]
