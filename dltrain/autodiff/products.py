"""Products of vectors with derivatives, without the matrices: u J, J v, H v, G v; and J itself, by rows.

All are graph made of gradients: what has a gradient has them, and they can be differentiated again. A product
takes a few times as long as the outputs themselves, whatever the dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from dltrain.autodiff import ops
from dltrain.autodiff.gradients import gradients, require_float, walk_back
from dltrain.autodiff.graph import Tensor, name_scope
from dltrain.autodiff.leaves import as_tensor
from dltrain.autodiff.loops import scan
from dltrain.autodiff.ops.shape import filled
from dltrain.errors import GraphError


def vjp(outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> list[Tensor]:
    """u J, the gradient of the sum of outputs weighed with cotangents: the derivative in reverse mode.

    Arguments:
        outputs, inputs: float tensors of one graph.
        cotangents: u, for each output a tensor of its spec; taken as constants, whatever they depend on.

    Returns:
        for each input a tensor of its spec, 0 where no output depends on it.

    Raises:
        GraphError: a tensor is not float, or a cotangent does not fit its output.
        NotDifferentiableError: an op on the way has no derivative; the message names it.
    """
    require_like(outputs, cotangents, "cotangent")
    require_float(*inputs)
    if not outputs or not inputs:
        return _or_zeros([None] * len(inputs), inputs)
    with inputs[0].graph, name_scope("vjp"):
        return _or_zeros(walk_back(outputs, inputs, cotangents), inputs)


def jvp(outputs: Sequence[Tensor], inputs: Sequence[Tensor], tangents: Sequence[Tensor]) -> list[Tensor]:
    """J v, how the outputs change as the inputs move along tangents: the derivative in forward mode.

    u J, as the reverse walk gives it, is linear in u: its own derivative with respect to u, weighed with v,
    is J v for any u (Townsend 2017, "A new trick for calculating Jacobian vector products").

    Arguments:
        outputs, inputs: float tensors of one graph.
        tangents: v, for each input a tensor of its spec; taken as constants, whatever they depend on.

    Returns:
        for each output a tensor of its spec, 0 where it depends on no input.

    Raises:
        GraphError: a tensor is not float, or a tangent does not fit its input.
        NotDifferentiableError: an op on the way has no derivative; the message names it.
    """
    require_like(inputs, tangents, "tangent")
    if not outputs:
        return []
    with outputs[0].graph, name_scope("jvp"):
        any_cotangents = [filled(0.0, output) for output in outputs]
        return vjp(vjp(outputs, inputs, any_cotangents), any_cotangents, tangents)


def jacobian(output: Tensor, x: Tensor) -> Tensor:
    """J, the derivative of each element of the output in each of x: `(*output.shape, *x.shape)`.

    A loop over the output's elements, each turn of which is a product u J; so it is compiled once.

    Arguments:
        output, x: float tensors of one graph; the output's dimensions are sizes.

    Raises:
        GraphError: one is not float, or the output has a named dimension.
        NotDifferentiableError: an op on the way has no derivative; the message names it.
    """
    require_float(output, x)
    size = prod(output.spec.sizes)
    with output.graph, name_scope("jacobian"):

        def row(_: tuple[()], place: Tensor) -> tuple[tuple[()], list[Tensor]]:
            unit = ops.reshape(ops.one_hot(place, size, output.dtype), output.shape)
            return (), vjp([output], [x], [unit])

        _, rows = scan(row, (), as_tensor(np.arange(size)))
        return ops.reshape(rows[0], (*output.shape, *x.shape))


def hessian_vector_product(loss: Tensor, wrt: Sequence[Tensor], vectors: Sequence[Tensor]) -> list[Tensor]:
    """H v, how the gradient changes as `wrt` moves along the vectors: the gradient of (gradient v).

    Pearlmutter 1994, "Fast exact multiplication by the Hessian".

    Arguments:
        loss: summed where it has a shape.
        wrt: float tensors of the same graph.
        vectors: v, for each of `wrt` a tensor of its spec; taken as constants, whatever they depend on.

    Returns:
        for each of `wrt` a tensor of its spec.

    Raises:
        GraphError, NotDifferentiableError: as of `jvp`.
    """
    require_like(wrt, vectors, "vector")
    require_float(loss)
    with loss.graph, name_scope("hessian_vector_product"):
        return vjp(_or_zeros(gradients(loss, wrt), wrt), wrt, vectors)


def gauss_newton_vector_product(
    loss: Tensor, outputs: Sequence[Tensor], wrt: Sequence[Tensor], vectors: Sequence[Tensor]
) -> list[Tensor]:
    """G v with G = J^T H J, where J is of the outputs in `wrt` and H the Hessian of the loss in the outputs.

    Schraudolph 2002, "Fast curvature matrix-vector products for second-order gradient descent". G is positive
    semidefinite where the loss is convex in the outputs, and the Hessian in `wrt` where these are linear.

    Arguments:
        loss: depends on `wrt` through `outputs` only; summed where it has a shape.
        outputs: float tensors that do not depend on each other.
        wrt, vectors: float tensors, and v, for each of them a tensor of its spec.

    Returns:
        for each of `wrt` a tensor of its spec.

    Raises:
        GraphError, NotDifferentiableError: as of `jvp`.
    """
    require_float(loss)
    with loss.graph, name_scope("gauss_newton_vector_product"):
        moved = jvp(outputs, wrt, vectors)
        return vjp(outputs, wrt, hessian_vector_product(loss, outputs, moved))


def require_like(tensors: Sequence[Tensor], vectors: Sequence[Tensor], kind: str) -> None:
    """
    Raises:
        GraphError: there is not one vector of each tensor's spec, or one is not float.
    """
    require_float(*tensors, *vectors)
    if len(tensors) != len(vectors):
        raise GraphError(f"{len(vectors)} {kind}s are given for {len(tensors)} tensors")
    for tensor, vector in zip(tensors, vectors, strict=True):
        if tensor.spec != vector.spec:
            raise GraphError(f"the {kind} of {tensor.name!r} {tensor.spec} is {vector.spec}")


def _or_zeros(found: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
    return [
        filled(0.0, tensor) if product is None else product
        for product, tensor in zip(found, like, strict=True)
    ]
