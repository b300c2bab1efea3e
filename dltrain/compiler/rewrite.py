"""Algebraic simplification: nodes become cheaper ones with the same value.

Every rule keeps the same bits, but for one: log(softmax(x)) becomes log_softmax(x), which is finite where the
softmax underflows to 0, and elsewhere agrees to a few units in the last place.
"""

from __future__ import annotations

from functools import reduce

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

NEUTRAL = {Multiply: 1, Divide: 1, Power: 1, Subtract: 0}
"""What an op of two inputs does not change the first one with."""


def rewrite(program: Lowered) -> Lowered:
    """The program with each node replaced by what the rules that fit make of it, one after the other."""
    return program.rebuilt(lambda node: reduce(lambda changed, rule: rule(changed), RULES, node))


def drop_identity(node: Node) -> Node:
    """x * 1, 1 * x, x / 1, x ** 1, x - 0, cast and reshape to what x is, stop_gradient: x."""
    op = type(node.op)
    if op in NEUTRAL and _is_all(node.inputs[1], NEUTRAL[op]):
        x = node.inputs[0]
    elif isinstance(node.op, Multiply) and _is_all(node.inputs[0], 1):
        x = node.inputs[1]
    elif isinstance(node.op, Cast | Reshape | BroadcastTo | StopGradient):
        x = node.inputs[0]
    else:
        return node
    return x if x.spec == node.spec else node


def drop_power(node: Node) -> Node:
    """c x^1, of the derivative of x^2: c * x."""
    if isinstance(node.op, ScaledPower):
        scale, x, exponent = node.inputs
        if _is_all(exponent, 1) and isinstance(scale.op, Constant) and bool(scale.op.value.all()):
            multiplied = Node(Multiply(), (scale, x), node.spec, node.origin)
            return multiplied if broadcast_shapes(scale.spec.shape, x.spec.shape) == node.spec.shape else node
    return node


def join_equal(node: Node) -> Node:
    """-(-x): x; reshape(reshape(x)): reshape(x)."""
    inner = node.inputs[0] if node.inputs else node
    if isinstance(node.op, Negative) and isinstance(inner.op, Negative):
        return inner.inputs[0]
    if isinstance(node.op, Reshape) and isinstance(inner.op, Reshape):
        return node.with_inputs(inner.inputs)
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


RULES = (
    drop_broadcast,
    drop_identity,
    drop_power,
    join_equal,
    fuse_log_softmax,
)


def _is_all(node: Node, number: int) -> bool:
    """Whether it is a constant of nothing but this number; -0 is not 0."""
    if not isinstance(node.op, Constant) or not node.op.value.size:
        return False
    return bool((node.op.value == number).all() and not np.signbit(node.op.value).any())
