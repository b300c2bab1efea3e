"""Sinking: what is elementwise in what the turns give is computed in each turn, and is no stack itself."""

from __future__ import annotations

from collections.abc import Mapping

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Graph, Tensor
from dltrain.autodiff.loops.body import carried
from dltrain.autodiff.op import Op
from dltrain.autodiff.walk import postorder


def sunk(
    tensor: Tensor, stacks: Mapping[Tensor, Tensor], graph: Graph
) -> tuple[Tensor, dict[Tensor, Tensor]] | None:
    """What the tensor, `(turns, ...)`, is in a turn; None if more than elementwise ops make it of the stacks.

    Arguments:
        stacks: of all turns, with what they are in a turn.
        graph: of the body.

    Returns:
        the tensor in the graph, and for tensors there, which are the same in all turns, those outside.
    """
    rank, found = tensor.spec.rank, dict(stacks)

    def is_in_turns(x: Tensor) -> bool:
        return x not in stacks and x.spec.rank == rank and x.shape[0] != 1

    same: dict[Tensor, Tensor] = {}
    for x in postorder([tensor], lambda x: x.inputs if is_in_turns(x) else ()):
        if x in stacks:
            continue
        if not is_in_turns(x):
            outside = ops.reshape(x, x.shape[1:]) if x.spec.rank == rank else x
            found[x] = inside = carried(outside, "same", graph)
            same[inside] = outside
        elif x.op.is_elementwise:
            assert isinstance(x.op, Op)
            found[x] = x.op(*[found[source] for source in x.inputs])
        elif x.op.is_broadcast:
            found[x] = ops.broadcast_to(found[x.inputs[0]], x.shape[1:])
        else:
            return None
    return found[tensor], same
