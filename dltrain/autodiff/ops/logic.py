"""Comparisons, logic, choice and change of dtype: elementwise under broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from dltrain.autodiff.graph import Node, Tensor, TensorLike
from dltrain.autodiff.ops.bases import Elementwise, binary, operand, operands, unary
from dltrain.autodiff.spec import Array, Spec, as_dtype
from dltrain.errors import GraphError

__all__ = ["cast", "equal", "greater", "greater_equal", "is_finite", "less"]
__all__ += ["less_equal", "logical_and", "logical_not", "logical_or", "not_equal", "where"]


class Comparison(Elementwise, abstract=True):
    """A question about numbers; the answer is bool, and has no derivative."""

    def infer(self, *inputs: Any, **_: Any) -> Spec:
        return super().infer(*inputs).with_dtype(bool)


def _comparison(name: str, relation: str, ufunc: np.ufunc) -> type[Comparison]:
    attributes = {"formula": f"{{0}} {relation} {{1}}", "ufunc": ufunc, "__module__": __name__}
    return type(name, (Comparison,), {"__doc__": f"Whether a {relation} b; bool.", **attributes})


Equal = _comparison("Equal", "==", np.equal)
NotEqual = _comparison("NotEqual", "!=", np.not_equal)
Less = _comparison("Less", "<", np.less)
LessEqual = _comparison("LessEqual", "<=", np.less_equal)
Greater = _comparison("Greater", ">", np.greater)
GreaterEqual = _comparison("GreaterEqual", ">=", np.greater_equal)


class IsFinite(Comparison):
    """Whether x is neither inf nor nan; bool."""

    formula = "{0} - {0} == 0"
    ufunc = np.isfinite


class Logical(Elementwise, abstract=True):
    """bool from bool."""

    def infer(self, *inputs: Any, **_: Any) -> Spec:
        for spec in inputs:
            if spec.dtype != np.bool_:
                raise GraphError(
                    f"it takes bool, not {spec.dtype.name}", fix="compare first, for example x > 0"
                )
        return super().infer(*inputs)


class LogicalAnd(Logical):
    """a and b; bool from bool."""

    formula = "{0} & {1}"
    ufunc = np.logical_and


class LogicalOr(Logical):
    """a or b; bool from bool."""

    formula = "{0} | {1}"
    ufunc = np.logical_or


class LogicalNot(Logical):
    """not x; bool from bool."""

    formula = "!{0}"
    ufunc = np.logical_not


class Where(Elementwise):
    """a where the condition holds, else b."""

    formula = "{0} ? {1} : {2}"

    in_place = False

    def infer(self, condition: Spec, a: Spec, b: Spec) -> Spec:
        if condition.dtype != np.bool_:
            raise GraphError(
                f"the condition is {condition.dtype.name}, not bool", fix="compare, for example x > 0"
            )
        return Elementwise.infer(self, condition.with_dtype(a.dtype), a, b)

    def compute(self, condition: Array, a: Array, b: Array, *, out: Array) -> None:
        np.copyto(out, b)
        np.copyto(out, a, where=condition)

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        condition, _, _ = node.inputs
        return None, where(condition, upstream, 0), where(condition, 0, upstream)


def where(condition: TensorLike, a: TensorLike, b: TensorLike, name: str | None = None) -> Tensor:
    """a where the condition (bool) holds, else b.

    What is not chosen gets a gradient of 0. Where its own derivative is inf or nan, 0 times that is nan
    again: keep its input harmless too, as in `where(x > 0, log(where(x > 0, x, 1)), 0)`.
    """
    tensor = operand(condition)
    with tensor.graph:
        return Where()(tensor, *operands(a, b), name=name)


@dataclass(frozen=True)
class Cast(Elementwise):
    """x in another dtype."""

    dtype: np.dtype[Any]

    def expression(self) -> str:
        return "{0} != 0" if self.dtype == np.bool_ else "({T}){0}"

    def infer(self, x: Spec) -> Spec:
        return x.with_dtype(self.dtype)

    def compute(self, x: Array, *, out: Array) -> None:
        np.copyto(out, x, casting="unsafe")

    def simplified(self, node: Any) -> Any:
        """To the dtype that x has: x."""
        (x,) = node.inputs
        return x if x.spec == node.spec else super().simplified(node)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return cast(upstream, node.inputs[0].dtype)


def cast(x: TensorLike, dtype: DTypeLike, name: str | None = None) -> Tensor:
    """x in another dtype; floats that become int64 or uint8 lose their fraction, and have no derivative."""
    tensor, wanted = operand(x), as_dtype(dtype)
    return tensor if tensor.dtype == wanted else Cast(wanted)(tensor, name=name)


equal = binary(Equal)
not_equal = binary(NotEqual)
less = binary(Less)
less_equal = binary(LessEqual)
greater = binary(Greater)
greater_equal = binary(GreaterEqual)
is_finite = unary(IsFinite)
logical_and = binary(LogicalAnd)
logical_or = binary(LogicalOr)
logical_not = unary(LogicalNot)
