"""Hoisting: products that depend on no state leave the loop, and are one for all turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.loops.body import Body
from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.matmul import Matmul
from dltrain.autodiff.walk import frontier, nodes_of


def hoisted(
    body: Body, results: Sequence[Tensor], sequences: Sequence[Tensor], captured: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The elements that the body is to be given, and their sequences.

    An element's product with a captured matrix is an element itself, whose sequence is one product before the
    loop (Appleyard, Kocisky and Blunsom 2016, section 3.2). Elements that are not needed are left out.
    """
    outer = dict(zip(body.captured, captured, strict=True))
    stacked = dict(zip(body.elements, sequences, strict=True))
    varying = body.dependent(results, body.states)
    found = [x for node in nodes_of(results, body.given) for x in node.outputs if isinstance(x.op, Matmul)]
    found = [x for x in found if x not in varying and x not in body.given]
    for node in nodes_of(found, body.given):
        tensor = node.outputs[0]
        if node.op.constant is not None:
            assert isinstance(node.op, Op)
            outer[tensor] = node.op()
        elif (lifted := _lifted(tensor, stacked, outer)) is not None:
            stacked[tensor] = lifted
    products = {tensor: stacked[tensor] for tensor in found if tensor in stacked}
    given = {**dict.fromkeys(body.given), **dict.fromkeys(products)}
    needed = frontier(results, given)
    kept = [tensor for tensor in (*body.elements, *products) if tensor in needed]
    return tuple(kept), tuple([stacked[tensor] for tensor in kept])


def _lifted(
    tensor: Tensor, stacked: Mapping[Tensor, Tensor], outer: Mapping[Tensor, Tensor]
) -> Tensor | None:
    """The tensor's values in all turns, `(turns, ...)`, where one op gives them; else None."""
    op, inputs = tensor.op, tensor.inputs
    if not any(x in stacked for x in inputs) or not all(x in stacked or x in outer for x in inputs):
        return None
    if isinstance(op, Matmul) and not op.transpose_a and inputs[0] in stacked and inputs[1] in outer:
        a, b = inputs
        if a.spec.rank == b.spec.rank == 2:
            return ops.matmul(stacked[a], outer[b], transpose_b=op.transpose_b)
    if op.is_elementwise:
        assert isinstance(op, Op)
        rank = tensor.spec.rank
        return op(*(_aligned(stacked[x], rank) if x in stacked else outer[x] for x in inputs))
    return None


def _aligned(stack: Tensor, rank: int) -> Tensor:
    """With axes of size 1 after the first, so that each turn's value broadcasts as it would on its own."""
    missing = rank + 1 - stack.spec.rank
    return ops.expand_dims(stack, range(1, 1 + missing)) if missing else stack
