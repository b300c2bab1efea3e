"""Python's operators on tensors: each adds the op of the same meaning to the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dltrain.autodiff.graph import Tensor, TensorLike

# The ops are defined on top of Tensor, hence imported when an operator is first used.


class Operators:
    """Base of Tensor."""

    __slots__ = ()

    def __add__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.add(self, other)

    def __radd__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.add(other, self)

    def __sub__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.subtract(self, other)

    def __rsub__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.subtract(other, self)

    def __mul__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.multiply(self, other)

    def __rmul__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.multiply(other, self)

    def __truediv__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.divide(self, other)

    def __rtruediv__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.divide(other, self)

    def __pow__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.power(self, other)

    def __rpow__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.power(other, self)

    def __matmul__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.matmul(self, other)

    def __rmatmul__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.matmul(other, self)

    def __neg__(self: Any) -> Tensor:
        from dltrain.autodiff import ops

        return ops.negative(self)

    def __abs__(self: Any) -> Tensor:
        from dltrain.autodiff import ops

        return ops.abs(self)

    def __lt__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.less(self, other)

    def __le__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.less_equal(self, other)

    def __gt__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.greater(self, other)

    def __ge__(self: Any, other: TensorLike) -> Tensor:
        from dltrain.autodiff import ops

        return ops.greater_equal(self, other)

    def __getitem__(self: Any, key: Any) -> Tensor:
        from dltrain.autodiff import ops

        return ops.slice(self, key)
