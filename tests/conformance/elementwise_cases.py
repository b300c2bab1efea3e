"""Cases of elementwise ops."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from conformance.case import BINARY, BOOLS, FLOATS, POSITIVE, TERNARY, UNARY, Case, Numbers, each

from dltrain.autodiff import ops
from dltrain.autodiff.ops.activations import Elu, Relu, Sigmoid, Softplus, Step, Tanh
from dltrain.autodiff.ops.arithmetic import (
    Abs,
    Add,
    Divide,
    Floor,
    Maximum,
    Minimum,
    Multiply,
    Negative,
    Power,
    ScaledPower,
    Sign,
    Square,
    Subtract,
)
from dltrain.autodiff.ops.exponential import Cos, Exp, Expm1, Log, Log1p, Sin, Sqrt
from dltrain.autodiff.ops.logic import (
    Cast,
    Equal,
    Greater,
    GreaterEqual,
    IsFinite,
    Less,
    LessEqual,
    LogicalAnd,
    LogicalNot,
    LogicalOr,
    NotEqual,
    Where,
)
from dltrain.autodiff.ops.softmax import SigmoidCrossEntropy


def unary(function: str, op: Any, reference: Callable[..., Any], **arguments: Any) -> Case:
    return Case(function, getattr(ops, function), each(reference), op, UNARY, **arguments)


def binary(function: str, op: Any, reference: Callable[..., Any], **arguments: Any) -> Case:
    return Case(function, getattr(ops, function), each(reference), op, BINARY, **arguments)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def gelu(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def sigmoid_cross_entropy(x: float, z: float) -> float:
    return -z * math.log(sigmoid(x)) - (1 - z) * math.log(1 - sigmoid(x))


UNIT = Numbers(0.0, 1.0)
FEW = Numbers(0, 3, "int64")

ARITHMETIC = [
    binary("add", Add, operator.add),
    binary("subtract", Subtract, operator.sub),
    binary("multiply", Multiply, operator.mul),
    binary("divide", Divide, operator.truediv, numbers=(FLOATS, POSITIVE)),
    binary("power", Power, math.pow, numbers=(POSITIVE, FLOATS)),
    Case(
        "ScaledPower",
        lambda c, a, b: ScaledPower()(c, a, b),
        each(lambda c, a, b: c * a**b),
        ScaledPower,
        TERNARY,
        numbers=(FLOATS, POSITIVE, FLOATS),
    ),
    binary("maximum", Maximum, max),
    binary("minimum", Minimum, min),
    binary("add", Add, operator.add, numbers=(FEW,), label="int64"),
    binary("multiply", Multiply, operator.mul, numbers=(FEW,), label="int64"),
    unary("negative", Negative, operator.neg),
    unary("square", Square, lambda x: x**2),
    unary("square", Square, lambda x: x**2, numbers=(FEW,), label="int64"),
    unary("abs", Abs, lambda x: x if x > 0 else -x),
    unary("sign", Sign, lambda x: math.copysign(1, x)),
    unary("floor", Floor, math.floor, differentiable=False),
]

EXPONENTIAL = [
    unary("sqrt", Sqrt, math.sqrt, numbers=(POSITIVE,)),
    unary("exp", Exp, math.exp),
    unary("expm1", Expm1, math.expm1),
    unary("log", Log, math.log, numbers=(POSITIVE,)),
    unary("log1p", Log1p, math.log1p, numbers=(POSITIVE,)),
    unary("sin", Sin, math.sin),
    unary("cos", Cos, math.cos),
]

LOGIC = [
    binary("equal", Equal, operator.eq, numbers=(FEW,)),
    binary("not_equal", NotEqual, operator.ne, numbers=(FEW,)),
    binary("less", Less, operator.lt, differentiable=False),
    binary("less_equal", LessEqual, operator.le, differentiable=False),
    binary("greater", Greater, operator.gt, differentiable=False),
    binary("greater_equal", GreaterEqual, operator.ge, differentiable=False),
    binary("equal", Equal, operator.eq, differentiable=False, label="floats"),
    binary("not_equal", NotEqual, operator.ne, differentiable=False, label="floats"),
    unary("is_finite", IsFinite, math.isfinite, differentiable=False),
    binary("logical_and", LogicalAnd, lambda a, b: a and b, numbers=(BOOLS,)),
    binary("logical_or", LogicalOr, lambda a, b: a or b, numbers=(BOOLS,)),
    unary("logical_not", LogicalNot, lambda x: not x, numbers=(BOOLS,)),
    Case(
        "where",
        ops.where,
        each(lambda condition, a, b: a if condition else b),
        Where,
        TERNARY,
        numbers=(BOOLS, FLOATS),
    ),
    Case(
        "cast",
        lambda x: ops.cast(ops.cast(x, "float32"), "float64"),
        lambda x: x.astype(np.float32),
        Cast,
        UNARY,
        numbers=(Numbers(0, 200, "uint8"),),
        label="uint8",
    ),
    Case(
        "cast",
        lambda x: ops.cast(x, "int64"),
        each(math.trunc),
        Cast,
        UNARY,
        differentiable=False,
        label="to_int64",
    ),
    Case("cast", lambda x: ops.cast(x, "bool"), each(bool), Cast, UNARY, (FEW,), label="to_bool"),
]

ACTIVATIONS = [
    unary("sigmoid", Sigmoid, sigmoid),
    unary("tanh", Tanh, math.tanh),
    unary("relu", Relu, lambda x: x if x > 0 else 0),
    unary("step", Step, lambda x: 1 if x > 0 else 0),
    unary("leaky_relu", None, lambda x: x if x > 0 else 0.01 * x),
    unary("elu", Elu, lambda x: x if x > 0 else math.expm1(x)),
    Case(
        "elu",
        lambda x: ops.elu(x, alpha=0.3),
        each(lambda x: x if x > 0 else 0.3 * math.expm1(x)),
        Elu,
        UNARY,
        label="alpha",
    ),
    unary("gelu", None, gelu),
    unary("silu", None, lambda x: x * sigmoid(x)),
    unary("softplus", Softplus, lambda x: math.log(1 + math.exp(x))),
    binary("sigmoid_cross_entropy", SigmoidCrossEntropy, sigmoid_cross_entropy, numbers=(FLOATS, UNIT)),
]

CASES = [*ARITHMETIC, *EXPONENTIAL, *LOGIC, *ACTIVATIONS]
