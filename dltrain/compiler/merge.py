"""Common-subexpression elimination: equal ops on equal inputs become one node. Results are the same bits."""

from __future__ import annotations

from collections.abc import Hashable

from dltrain.compiler.ir import Lowered, Node

LARGEST_CONSTANT = 4096  # bytes; larger constants are not compared


def merge(program: Lowered) -> Lowered:
    """The program with equal nodes made one."""
    first: dict[Hashable, Node] = {}
    return program.rebuilt(lambda node: first.setdefault(_key(node), node))


def _key(node: Node) -> Hashable:
    """Equal for nodes that compute the same value."""
    if not node.is_leaf:
        return type(node.op), node.op, node.inputs, node.spec
    constant = node.op.constant
    if constant is not None and constant.nbytes <= LARGEST_CONSTANT:
        return node.spec, constant.tobytes()
    return node.origin
