"""Common-subexpression elimination: equal ops on equal inputs become one node. Results are the same bits."""

from __future__ import annotations

from collections.abc import Hashable

from dltrain.autodiff.graph import ReadVariable
from dltrain.autodiff.leaves import Constant, Placeholder
from dltrain.compiler.ir import Lowered, Node

LARGEST_CONSTANT = 4096  # bytes; larger constants are not compared


def merge(program: Lowered) -> Lowered:
    """The program with equal nodes made one."""
    first: dict[Hashable, Node] = {}
    return program.rebuilt(lambda node: first.setdefault(_key(node), node))


def _key(node: Node) -> Hashable:
    """Equal for nodes that compute the same value."""
    if isinstance(node.op, Constant) and node.op.value.nbytes <= LARGEST_CONSTANT:
        return node.spec, node.op.value.tobytes()
    if isinstance(node.op, Placeholder | ReadVariable | Constant):
        return node.origin
    return type(node.op), node.op, node.inputs, node.spec
