"""Constant folding: what only depends on constants and on sizes is computed once, now.

Results are the same bits.
"""

from __future__ import annotations

from math import prod

import numpy as np

from dltrain.autodiff.leaves import Constant
from dltrain.compiler.ir import Lowered, Node
from dltrain.errors import GraphError

LARGEST = 65_536  # elements; a larger result is kept only if its inputs were as large


def fold_constants(program: Lowered) -> Lowered:
    """The program with nodes of constants computed."""
    return program.rebuilt(_folded)


def _folded(node: Node) -> Node:
    if not (node.op.reads_shapes_only or _is_foldable(node)):
        return node
    arrays = [
        np.broadcast_to(np.zeros((), source.spec.dtype), source.spec.sizes) if value is None else value
        for source in node.inputs
        for value in [source.op.constant]
    ]
    out = np.empty(node.spec.sizes, node.spec.dtype)
    try:
        with np.errstate(all="ignore"):
            node.op.compute(*arrays, out=out)
    except GraphError:
        return node  # a run says what is wrong, and where
    return Node(Constant(out), (), node.spec, node.origin)


def _is_foldable(node: Node) -> bool:
    """Views cost nothing as they are, broadcasting ones would grow; a value may hide a stabler logarithm; and
    loops are slow until they are compiled.
    """
    for source in node.inputs:
        if source.op.constant is None:
            return False
    if not node.inputs or node.others or node.op.logarithm is not None or node.op.family is not None:
        return False
    size = prod(node.spec.sizes)
    largest_input = max(prod(source.spec.sizes) for source in node.inputs)
    return size <= (largest_input if node.op.is_view else max(largest_input, LARGEST))
