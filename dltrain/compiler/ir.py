"""The compiler's own nodes: a graph with all sizes bound, which the passes rewrite.

The user's tensors stay as they are; each node remembers the tensor that it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dltrain.autodiff.graph import Op, ReadVariable, Tensor
from dltrain.autodiff.leaves import Constant, Placeholder
from dltrain.autodiff.spec import Array, Spec
from dltrain.autodiff.walk import postorder
from dltrain.errors import GraphError


@dataclass(eq=False, slots=True, frozen=True)
class Node:
    """An op applied to nodes. `spec` has sizes only."""

    op: Op
    inputs: tuple[Node, ...]
    spec: Spec
    origin: Tensor

    @property
    def is_leaf(self) -> bool:
        return isinstance(self.op, Placeholder | Constant | ReadVariable)

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        return self if inputs == self.inputs else Node(self.op, inputs, self.spec, self.origin)


@dataclass(frozen=True)
class Copy(Op, abstract=True):
    """Its input, in memory of its own."""

    def compute(self, x: Array, *, out: Array) -> None:
        np.copyto(out, x)


def lower(tensors: Sequence[Tensor], fed: Sequence[Tensor], sizes: Mapping[str, int]) -> list[Node]:
    """Nodes for `tensors` and for what they are computed from; all else of the graph is left out (pruned).

    Arguments:
        fed: tensors whose values the run is given; whatever they are, they become placeholders.
        sizes: of the named dimensions.

    Raises:
        GraphError: a placeholder is needed but not fed, or a named dimension has no size.
    """
    nodes: dict[Tensor, Node] = {}
    for tensor in postorder(tensors, lambda tensor: () if tensor in fed else tensor.inputs):
        nodes[tensor] = _lowered(tensor, nodes, tensor in fed, sizes)
    return [nodes[tensor] for tensor in tensors]


def _lowered(tensor: Tensor, nodes: Mapping[Tensor, Node], fed: bool, sizes: Mapping[str, int]) -> Node:
    spec = tensor.spec.bind(sizes)
    if unbound := [name for name in spec.shape if isinstance(name, str)]:
        raise GraphError(
            f"dimension {unbound[0]!r} of {tensor.name} {tensor.spec} has no size",
            where=tensor.source,
            fix="feed a placeholder that has this dimension",
        )
    if fed:
        return Node(Placeholder(spec), (), spec, tensor)
    if isinstance(tensor.op, Placeholder):
        raise GraphError(
            f"placeholder {tensor.name!r} {tensor.spec} is needed but not fed",
            where=tensor.source,
            fix="give it a value in feed_dict",
        )
    return Node(tensor.op, tuple(nodes[source] for source in tensor.inputs), spec, tensor)


def rebuild(outputs: Sequence[Node], transform: Callable[[Node], Node]) -> list[Node]:
    """The outputs, with `transform` applied to every node after it was applied to the node's inputs."""
    new: dict[Node, Node] = {}
    for node in postorder(outputs):
        new[node] = transform(node.with_inputs(tuple(new[source] for source in node.inputs)))
    return [new[node] for node in outputs]


class KernelError(Exception):
    """What went wrong in the kernel of one node among several."""

    def __init__(self, node: Node, error: GraphError) -> None:
        self.node, self.error = node, error
        super().__init__(str(error))


def explained(error: Exception, node: Node) -> GraphError:
    """The error of a kernel with the op, its inputs and the place that made the node."""
    inputs = ", ".join(f"{source.origin.name} {source.spec}" for source in node.inputs)
    fix = error.fix if isinstance(error, GraphError) else ""
    why = error.what if isinstance(error, GraphError) else f"{type(error).__name__}: {error}"
    return GraphError(f"{node.op.label}({inputs})", where=node.origin.source, why=why, fix=fix)
