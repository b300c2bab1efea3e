"""Tracing: what a tensor is computed from, node by node, without the compiler's passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dltrain.autodiff.graph import Tensor, TensorLike
from dltrain.autodiff.spec import Array
from dltrain.autodiff.walk import postorder
from dltrain.execution.session import Session


@dataclass(frozen=True)
class Traced:
    """A node and its value in a run."""

    node: Tensor
    value: Array

    @property
    def is_finite(self) -> bool:
        """Whether no element is nan or infinite."""
        return self.value.dtype.kind != "f" or bool(np.isfinite(self.value).all())

    @property
    def range(self) -> str:
        """Such as `-0.5 .. 2.25`, of what is finite."""
        finite = self.value[np.isfinite(self.value)]
        return f"{finite.min():.3g} .. {finite.max():.3g}" if finite.size else "none"


def trace(
    session: Session, tensors: Tensor | Sequence[Tensor], feed_dict: Mapping[Tensor, TensorLike] | None = None
) -> list[Traced]:
    """The tensors and all that they are computed from, with their values, in the order of building.

    Every node is computed by NumPy's kernel, as it stands in the graph, but for algebra that keeps it finite.
    Nothing is committed.

    Arguments:
        session: whose values the variables have.
        tensors: of the session's graph.
        feed_dict: see `Session.run`.

    Raises:
        GraphError: as `Session.run`.
    """
    feeds = feed_dict or {}
    roots = [tensors] if isinstance(tensors, Tensor) else tensors
    needed = set(postorder(roots, lambda tensor: () if tensor in feeds else tensor.inputs))
    nodes = [tensor for node in session.graph.nodes for tensor in node.outputs if tensor in needed]
    plain = Session(session.graph, passes=frozenset({"rewrite"}), kernels="numpy")  # as stable as a run
    plain.load_state(session.state())
    values = plain.run(nodes, feeds)
    return [Traced(node, np.asarray(value)) for node, value in zip(nodes, values, strict=True)]


def first_not_finite(traced: Sequence[Traced]) -> int | None:
    """The place of the first value that is not finite."""
    return next((place for place, each in enumerate(traced) if not each.is_finite), None)
