"""substituted(tensors, values): the same computation from other values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dltrain.autodiff.graph import Tensor, source
from dltrain.autodiff.op import Op
from dltrain.autodiff.walk import nodes_of
from dltrain.errors import GraphError


def substituted(tensors: Sequence[Tensor], values: Mapping[Tensor, Tensor]) -> list[Tensor]:
    """What the tensors would be if some of what they are computed from had other values, as graph.

    Only nodes that depend on these are added anew, and none behind a tensor that has a value, maybe its own;
    random ops keep their streams, so that a dropout mask is the same one.

    Arguments:
        tensors: of one graph.
        values: tensor -> what stands in its place, of the same spec.

    Raises:
        GraphError: a value is of another spec.
    """
    for tensor, value in values.items():
        if value.spec != tensor.spec:
            raise GraphError(f"{tensor.name!r} is {tensor.spec}, what is to stand in its place {value.spec}")
    found = dict(values)
    for node in nodes_of(tensors, values):
        if any(found.get(tensor, tensor) is not tensor for tensor in node.inputs):
            assert isinstance(node.op, Op)
            with node.graph, source(node.source):
                name = node.name.rpartition("/")[-1]
                outputs = node.op.apply(*[found.get(tensor, tensor) for tensor in node.inputs], name=name)
            for tensor, output in zip(node.outputs, outputs, strict=True):
                found.setdefault(tensor, output)
    return [found.get(tensor, tensor) for tensor in tensors]
