"""Runs a graph node by node, without compiler, and checks each kernel's manners on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

import numpy as np

from dltrain.autodiff.graph import Node, Tensor, Variable
from dltrain.autodiff.leaves import Placeholder
from dltrain.autodiff.ops.bases import Elementwise
from dltrain.autodiff.spec import Array
from dltrain.autodiff.walk import postorder


def evaluate(
    fetches: Sequence[Tensor], feeds: Mapping[Tensor, Array], sizes: Mapping[str, int]
) -> list[Array]:
    """The fetches' values; every kernel on the way is examined.

    Raises:
        AssertionError: a kernel changes an input, leaves a part of `out` as it was, minds strides, or gives
            something else in place, though it says that it works there.
    """
    values = dict(feeds)
    needed = set(postorder([fetch.node for fetch in fetches], attrgetter("sources")))
    for node in fetches[0].graph.nodes:
        if node not in needed or all(output in values for output in node.outputs):
            continue
        if isinstance(node.outputs[0], Variable):
            values[node.output] = np.asarray(node.output.initial)
        elif not isinstance(node.op, Placeholder):
            found = _examined(node, [values[tensor] for tensor in node.inputs], sizes)
            values |= dict(zip(node.outputs, found, strict=True))
    return [values[fetch] for fetch in fetches]


def _examined(node: Node, inputs: Sequence[Array], sizes: Mapping[str, int]) -> list[Array]:
    specs = [output.spec.bind(sizes) for output in node.outputs]
    filled = [[_garbage(spec.sizes, spec.dtype, fill) for spec in specs] for fill in (0x55, 0xAA)]
    before = [array.tobytes() for array in inputs]
    for outs, given in zip(filled, (inputs, [_strided(array) for array in inputs]), strict=True):
        for array in given:
            array.flags.writeable = False
        with np.errstate(all="ignore"):
            node.op.compute(*given, out=outs[0] if len(outs) == 1 else tuple(outs))
    assert [array.tobytes() for array in inputs] == before, f"{node.name} changes an input"
    for out, other in zip(*filled, strict=True):
        np.testing.assert_allclose(
            out, other, rtol=1e-5, atol=1e-6, err_msg=f"{node.name}: out not written, or strides matter"
        )
    if isinstance(node.op, Elementwise) and node.op.in_place:
        _examine_in_place(node, inputs, filled[0][0])
    return filled[0]


def _examine_in_place(node: Node, inputs: Sequence[Array], expected: Array) -> None:
    for position, array in enumerate(inputs):
        if (array.shape, array.dtype) == (expected.shape, expected.dtype):
            shared = array.copy()
            given = [shared if i == position else other for i, other in enumerate(inputs)]
            with np.errstate(all="ignore"):
                node.op.compute(*given, out=shared)
            np.testing.assert_array_equal(shared, expected, f"{node.name} in place of input {position}")


def _garbage(shape: tuple[int, ...], dtype: np.dtype, fill: int) -> Array:
    """What memory may hold before a kernel writes it, different for each `fill`."""
    if dtype == np.bool_:
        return np.full(shape, fill == 0x55)
    return np.full(shape, np.frombuffer(bytes([fill]) * dtype.itemsize, dtype)[0])


def _strided(array: Array) -> Array:
    """The same numbers, not contiguous."""
    wide = np.zeros((*array.shape, 3), array.dtype)
    view = wide[..., 1]
    view[...] = array
    return view
