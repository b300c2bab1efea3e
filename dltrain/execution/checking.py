"""check_gradients(): derivatives of the graph against numerical ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from dltrain.autodiff.gradients import gradients
from dltrain.autodiff.graph import Tensor, TensorLike
from dltrain.autodiff.leaves import placeholder
from dltrain.autodiff.spec import Array
from dltrain.errors import GraphError
from dltrain.execution.session import Session

STEP = 1e-3  # times the input's magnitude; errors of truncation and of rounding both stay near 1e-12
STENCIL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))


def check_gradients(
    output: Tensor,
    wrt: Sequence[Tensor],
    feed_dict: Mapping[Tensor, TensorLike] | None = None,
    session: Session | None = None,
    tolerance: float = 1e-7,
) -> None:
    """Compare `gradients(output, wrt)` with central differences.

    The output is weighed with random cotangents, and each element of each input moved by one and two steps
    to both sides: the five-point stencil (Abramowitz and Stegun 1964, equation 25.3.6), whose error is of
    fourth order in the step.

    Arguments:
        output: float64 tensor of any shape.
        wrt: float64 tensors that don't depend on each other; at values where the output is smooth for 0.2 %
            of their magnitude around.
        feed_dict: values of the placeholders. Of `wrt`, what is not fed is taken as the session has it.
        session: default a new one of the output's graph.
        tolerance: largest difference allowed, relative to the largest derivative with respect to that input.

    Raises:
        GraphError: a tensor is not float64, or a derivative differs; the message names the input and the
            element that differs most.
        NotDifferentiableError: as of `gradients`.
    """
    for tensor in (output, *wrt):
        if tensor.dtype != np.float64:
            raise GraphError(
                f"{tensor.name!r} is {tensor.dtype.name}: derivatives are checked in float64 only",
                where=tensor.source,
                fix='build the graph with dtype="float64"',
            )
    session = session or Session(output.graph, kernels="numpy")
    feeds: dict[Tensor, TensorLike] = dict(feed_dict or {})
    for tensor in wrt:
        value = feeds[tensor] if tensor in feeds else session.run(tensor, feeds)
        feeds[tensor] = np.array(value, np.float64)
    with output.graph:
        cotangents = placeholder("float64", output.shape, "cotangents")
    derivatives = gradients(output, wrt, upstream=cotangents)
    evaluate = session.make_callable(output, list(feeds))
    value = np.asarray(evaluate(*feeds.values()))
    weights = np.random.default_rng(0).standard_normal(value.shape)
    rounding = np.finfo(np.float64).eps * float(np.abs(value * weights).sum()) / STEP
    for tensor, derivative in zip(wrt, derivatives, strict=True):
        array = feeds[tensor]
        assert isinstance(array, np.ndarray)
        found = np.zeros_like(array)
        if derivative is not None:
            found[...] = session.run(derivative, {**feeds, cotangents: weights})
        numerical = np.zeros_like(array)
        for position in np.ndindex(array.shape):
            for coefficient in _moved(array, position):
                moved = np.asarray(evaluate(*feeds.values()))
                numerical[position] += coefficient * float(np.sum((moved - value) * weights))
        _compare(tensor, found, numerical, tolerance, 10 * rounding)


def _moved(array: Array, position: tuple[int, ...]) -> Iterator[float]:
    """Move one element to each point of the stencil, yielding that point's coefficient; then move it back."""
    middle = float(array[position])
    step = STEP * max(1.0, abs(middle))
    for steps, coefficient in STENCIL:
        array[position] = middle + steps * step
        yield coefficient / step
    array[position] = middle


def _compare(tensor: Tensor, found: Array, numerical: Array, tolerance: float, rounding: float) -> None:
    """
    Raises:
        GraphError: they differ by more than the tolerance allows.
    """
    if not found.size:
        return
    largest = float(np.abs(numerical).max())
    difference = np.abs(found - numerical)
    if bool((difference <= tolerance * largest + rounding).all()):  # False for nan
        return
    worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(difference)), found.shape))
    raise GraphError(
        f"the derivative with respect to {tensor.name!r} is wrong",
        where=tensor.source,
        why=f"element {list(worst)} is {found[worst]:.12g}, numerically {numerical[worst]:.12g} "
        f"(the largest derivative is {largest:.6g}, the tolerance {tolerance:g} of it)",
    )
