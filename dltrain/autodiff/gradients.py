"""gradients(loss, wrt): one reverse walk over the graph, that builds graph."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Node, Tensor, name_scope, source
from dltrain.autodiff.leaves import StopGradient
from dltrain.autodiff.ops.shape import filled
from dltrain.autodiff.ops.slices import add_up
from dltrain.autodiff.walk import nodes_of, postorder
from dltrain.errors import GraphError, NotDifferentiableError


def gradients(loss: Tensor, wrt: Sequence[Tensor], upstream: Tensor | None = None) -> list[Tensor | None]:
    """The derivative of `loss` with respect to each tensor of `wrt`, as graph.

    Reverse accumulation (Linnainmaa 1976; Griewank and Walther 2008, section 3.2). The result only uses
    ops, so that it can be differentiated again.

    Arguments:
        loss: of any shape; the derivative of its sum is taken, unless `upstream` weighs its elements.
        wrt: float tensors of the same graph.
        upstream: of the loss' spec, default ones.

    Returns:
        for each of `wrt` a tensor of its spec, or None where the loss does not depend on it.

    Raises:
        GraphError: `loss` or one of `wrt` is not float, or `upstream` is of another spec.
        NotDifferentiableError: an op on the way has no derivative; the message names it.
    """
    require_float(loss, *wrt, *([] if upstream is None else [upstream]))
    if upstream is not None and upstream.spec != loss.spec:
        raise GraphError(f"upstream is {upstream.spec} but {loss.name!r} is {loss.spec}")
    with loss.graph, name_scope("gradients"):
        return walk_back([loss], wrt, [filled(1.0, loss) if upstream is None else upstream])


def require_float(*tensors: Tensor) -> None:
    """
    Raises:
        GraphError: a tensor is not float, or is none.
    """
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise GraphError(f"{type(tensor).__name__} is no tensor, and has no derivatives")
        if not tensor.spec.is_float:
            raise GraphError(
                f"{tensor.name!r} is {tensor.spec.dtype.name}: only float tensors have derivatives"
            )


def walk_back(
    outputs: Sequence[Tensor],
    wrt: Sequence[Tensor],
    upstreams: Sequence[Tensor],
    given: Collection[Tensor] = (),
) -> list[Tensor | None]:
    """What `gradients` gives for the sum of several outputs, each weighed with an upstream of its spec.

    Arguments:
        given: tensors that are taken as values of their own, whatever they are computed from.
    """
    order, dependent = _nodes_between(wrt, outputs, given)
    contributions: dict[Tensor, list[Tensor]] = {tensor: [] for tensor in dependent}
    for output, upstream in zip(outputs, upstreams, strict=True):
        if output in contributions:
            contributions[output].append(upstream)
    totals: dict[Tensor, Tensor] = {}
    for node in reversed(order):
        with source(node.source):
            for output in node.outputs:
                if output not in given and (parts := contributions.get(output)):
                    totals[output] = add_up(parts)
            known = [totals.get(output) for output in node.outputs]
            if all(total is None for total in known) or not any(
                tensor in contributions for tensor in node.inputs
            ):
                continue
            for tensor, gradient in zip(node.inputs, _input_gradients(node, known), strict=True):
                if tensor in contributions and gradient is not None:
                    contributions[tensor].append(undo_broadcast(gradient, tensor))
    for tensor in wrt:
        if tensor in given and (parts := contributions.get(tensor)):
            totals[tensor] = add_up(parts)
        elif tensor not in totals and not given:
            for output in outputs:
                _refuse_if_blocked(output, tensor)
    return [totals.get(tensor) for tensor in wrt]


def _refuse_if_blocked(loss: Tensor, tensor: Tensor) -> None:
    """
    Raises:
        NotDifferentiableError: `loss` does depend on `tensor`, but only through an op without derivative.
    """
    dependent = {tensor}
    for node in postorder([loss.node], lambda node: [tensor.node for tensor in _carrying_inputs(node)]):
        for carrying in dependent.intersection(_carrying_inputs(node)):
            dependent.update(node.outputs)
            if not carrying.spec.is_float:
                raise NotDifferentiableError(
                    f"{carrying.op.label} has no derivative",
                    where=carrying.source,
                    why=f"{loss.name!r} depends on {tensor.name!r} only through {carrying.name!r}",
                    fix="use a differentiable op on that path",
                )


def _carrying_inputs(node: Node) -> Sequence[Tensor]:
    """Beside floats other inputs only select (a condition, indices), and count as constants."""
    if isinstance(node.op, StopGradient):
        return ()
    return [tensor for tensor in node.inputs if tensor.spec.is_float] or node.inputs


def _nodes_between(
    wrt: Sequence[Tensor], outputs: Sequence[Tensor], given: Collection[Tensor]
) -> tuple[list[Node], set[Tensor]]:
    """The nodes on a path from `wrt` to `outputs`, inputs before what uses them; the float tensors on it."""
    dependent = set(wrt)
    order = []
    for node in nodes_of(outputs, given):
        if not dependent.isdisjoint(node.inputs):
            dependent.update(output for output in node.outputs if output not in given)
        if not dependent.isdisjoint(node.outputs):
            order.append(node)
    return order, {tensor for tensor in dependent if tensor.spec.is_float}


def _input_gradients(node: Node, upstreams: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
    result = node.op.gradient(node, *upstreams)
    return (result,) if isinstance(result, Tensor) else result


def undo_broadcast(gradient: Tensor, tensor: Tensor) -> Tensor:
    """The gradient summed over the axes along which `tensor` was broadcast; the one place that does so."""
    if gradient.shape == tensor.shape:
        return gradient
    added = gradient.spec.rank - tensor.spec.rank
    stretched = [
        axis + added
        for axis, dimension in enumerate(tensor.shape)
        if dimension == 1 and gradient.shape[axis + added] != 1
    ]
    summed = ops.sum(gradient, axis=[*range(added), *stretched])
    return summed if summed.shape == tensor.shape else ops.reshape(summed, tensor.shape)
