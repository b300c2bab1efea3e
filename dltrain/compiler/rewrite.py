"""Algebraic simplification: nodes become cheaper ones with the same value.

Every rule keeps the same bits, but for one: log(softmax(x)) becomes log_softmax(x), which is finite where the
softmax underflows to 0, and elsewhere agrees to a few units in the last place.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dltrain.autodiff.leaves import Constant, StopGradient
from dltrain.autodiff.ops.arithmetic import Divide, Multiply, Negative, Power, ScaledPower, Subtract
from dltrain.autodiff.ops.bases import Elementwise
from dltrain.autodiff.ops.exponential import Log
from dltrain.autodiff.ops.logic import Cast
from dltrain.autodiff.ops.shape import BroadcastTo, Reshape
from dltrain.autodiff.ops.softmax import LogSoftmax, Softmax
from dltrain.autodiff.spec import broadcast_shapes
from dltrain.compiler.ir import Lowered, Node

Rule = Callable[[Node], Node]


def rewrite(program: Lowered) -> Lowered:
    """The program with each node replaced by what the first rule that fits makes of it."""
    return program.rebuilt(_rewritten)


def _rewritten(node: Node) -> Node:
    for rule in RULES:
        node = rule(node)
    return node


def drop_identity(node: Node) -> Node:
    """x * 1, 1 * x, x / 1, x ** 1, x - 0, cast and reshape to what x is, stop_gradient: x."""
    x = node.inputs[0] if node.inputs else node
    match node.op:
        case Multiply():
            unchanged = _is_all(node.inputs[1], 1)
            if not unchanged and _is_all(x, 1):
                unchanged, x = True, node.inputs[1]
        case Divide() | Power():
            unchanged = _is_all(node.inputs[1], 1)
        case Subtract():
            unchanged = _is_all(node.inputs[1], 0) and not _is_negative_zero(node.inputs[1])
        case Cast() | Reshape() | BroadcastTo() | StopGradient():
            unchanged = True
        case _:
            unchanged = False
    return x if unchanged and x.spec == node.spec else node


def drop_power(node: Node) -> Node:
    """c x^1, of the derivative of x^2: c * x."""
    if isinstance(node.op, ScaledPower):
        scale, x, exponent = node.inputs
        if _is_all(exponent, 1) and isinstance(scale.op, Constant) and bool(scale.op.value.all()):
            multiplied = Node(Multiply(), (scale, x), node.spec, node.origin)
            return multiplied if broadcast_shapes(scale.spec.shape, x.spec.shape) == node.spec.shape else node
    return node


def drop_double_negative(node: Node) -> Node:
    """-(-x): x."""
    if isinstance(node.op, Negative) and isinstance(node.inputs[0].op, Negative):
        return node.inputs[0].inputs[0]
    return node


def join_reshapes(node: Node) -> Node:
    """reshape(reshape(x)): reshape(x)."""
    if isinstance(node.op, Reshape) and isinstance(node.inputs[0].op, Reshape):
        return node.with_inputs(node.inputs[0].inputs)
    return node


def drop_broadcast(node: Node) -> Node:
    """An elementwise op broadcasts by itself: broadcast_to(x) + y is x + y where y has the full shape."""
    if not isinstance(node.op, Elementwise):
        return node
    inputs = list(node.inputs)
    for position, source in enumerate(inputs):
        if isinstance(source.op, BroadcastTo):
            inputs[position] = source.inputs[0]
            if broadcast_shapes(*(other.spec.shape for other in inputs)) != node.spec.shape:
                inputs[position] = source
    return node.with_inputs(tuple(inputs))


def fuse_log_softmax(node: Node) -> Node:
    """log(softmax(x)): log_softmax(x)."""
    if isinstance(node.op, Log) and isinstance(softmax := node.inputs[0].op, Softmax):
        return Node(LogSoftmax(softmax.axis), node.inputs[0].inputs, node.spec, node.origin)
    return node


RULES: tuple[Rule, ...] = (
    drop_broadcast,
    drop_identity,
    drop_power,
    drop_double_negative,
    join_reshapes,
    fuse_log_softmax,
)


def _is_all(node: Node, number: float) -> bool:
    return isinstance(node.op, Constant) and node.op.value.size > 0 and bool((node.op.value == number).all())


def _is_negative_zero(node: Node) -> bool:
    return isinstance(node.op, Constant) and bool(np.signbit(node.op.value).any())
