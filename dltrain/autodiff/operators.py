"""Python's operators on tensors, each the op of the same meaning; and assignment to variables."""

from __future__ import annotations

from collections.abc import Callable

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Binary, Tensor, TensorLike, Updates, Variable
from dltrain.autodiff.leaves import as_tensor


def _reflected(op: Callable[[TensorLike, TensorLike], Tensor]) -> Binary:
    """For `2 - x`, where Python asks x."""
    return lambda tensor, other: op(other, tensor)


def _assign(variable: Variable, value: TensorLike) -> Updates:
    return Updates([(variable, as_tensor(value, variable.dtype))])


Tensor.__add__, Tensor.__radd__ = ops.add, _reflected(ops.add)
Tensor.__sub__, Tensor.__rsub__ = ops.subtract, _reflected(ops.subtract)
Tensor.__mul__, Tensor.__rmul__ = ops.multiply, _reflected(ops.multiply)
Tensor.__truediv__, Tensor.__rtruediv__ = ops.divide, _reflected(ops.divide)
Tensor.__pow__, Tensor.__rpow__ = ops.power, _reflected(ops.power)
Tensor.__matmul__, Tensor.__rmatmul__ = ops.matmul, _reflected(ops.matmul)
Tensor.__lt__, Tensor.__le__ = ops.less, ops.less_equal
Tensor.__gt__, Tensor.__ge__ = ops.greater, ops.greater_equal
Tensor.__neg__, Tensor._abs, Tensor.__getitem__ = ops.negative, ops.abs, ops.slice
Variable.assign = _assign
