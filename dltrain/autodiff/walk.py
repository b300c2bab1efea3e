"""The one walk over a graph, for whoever needs its nodes in an order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import attrgetter
from typing import TypeVar

from dltrain.autodiff.graph import Node, Tensor

AnyNode = TypeVar("AnyNode")


def nodes_of(tensors: Iterable[Tensor], given: Collection[Tensor] = ()) -> list[Node]:
    """The nodes that compute the tensors from given ones, inputs before what uses them."""
    roots = [tensor.node for tensor in tensors if tensor not in given]
    return postorder(roots, lambda node: [tensor.node for tensor in node.inputs if tensor not in given])


def frontier(tensors: Sequence[Tensor], ends: Collection[Tensor]) -> list[Tensor]:
    """Those of `ends` that one meets first on the ways back from the tensors."""
    nodes = nodes_of(tensors, ends)
    met = dict.fromkeys((*tensors, *(x for node in nodes for x in node.inputs)))
    return [x for x in met if x in ends]


def postorder(
    roots: Sequence[AnyNode], inputs: Callable[[AnyNode], Sequence[AnyNode]] = attrgetter("inputs")
) -> list[AnyNode]:
    """The roots and all nodes that they are computed from, each once and after its inputs.

    A node comes as shortly before what first needs it as its own inputs allow: depth first, inputs and roots
    from left to right. It works on graphs of any kind and depth.

    Arguments:
        roots: where the walk begins.
        inputs: what a node is computed from, default `node.inputs`; of a graph's own nodes it is
            `node.sources`. Fewer leave parts of the graph out: to stop at some nodes,
            `lambda node: () if node in stops else node.inputs`.
    """
    order: list[AnyNode] = []
    seen: set[AnyNode] = set()
    stack: list[AnyNode | None] = [*reversed(roots)]
    while stack:
        node = stack.pop()
        if node is None:  # the inputs of the node below are done
            done = stack.pop()
            assert done is not None
            order.append(done)
        elif node not in seen:
            seen.add(node)
            stack += (node, None)
            stack += inputs(node)[::-1]
    return order
