"""Linear algebra of stacks of matrices, by NumPy's LAPACK: Cholesky factors and linear systems.

Derivatives are those of Giles 2008, "Collected matrix derivative results for forward and reverse mode
algorithmic differentiation", section 2, and of Murray 2016, "Differentiation of the Cholesky decomposition".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from dltrain.autodiff.graph import Node, Tensor, TensorLike
from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.bases import operand, operands, require_float, require_same_dtype
from dltrain.autodiff.ops.matmul import matmul
from dltrain.autodiff.ops.shape import transpose
from dltrain.autodiff.ops.triangles import tril, triu
from dltrain.autodiff.spec import Array, Spec, broadcast_shapes
from dltrain.errors import GraphError

__all__ = ["cholesky", "solve", "solve_triangular"]

SMALL = 32  # rows; of a larger triangle nearly all of the work is matrix products


def _require_square(a: Spec) -> None:
    """
    Raises:
        GraphError: not a matrix, not square, or not float.
    """
    require_float(a)
    if a.rank < 2 or a.shape[-1] != a.shape[-2]:
        raise GraphError("the last two axes are no square matrix")


def _refused(a: Array, factor: Callable[[Array], object], what: str, fix: str = "") -> GraphError:
    """The error that a matrix of the stack `a` is `what`: the first one that cannot be factored."""
    for place in np.ndindex(a.shape[:-2]):
        try:
            factor(a[place])
        except np.linalg.LinAlgError:
            return _error(place, what, fix)
    return GraphError(f"a matrix is {what}", fix=fix)


def _error(place: Sequence[int], what: str, fix: str = "") -> GraphError:
    which = f"matrix {list(place)} of the stack" if place else "the matrix"
    return GraphError(f"{which} is {what}", fix=fix)


class Cholesky(Op):
    """The lower triangular L with L L^T = a."""

    def infer(self, a: Spec) -> Spec:
        _require_square(a)
        return a

    def operations(self, inputs: Sequence[Spec], output: Spec) -> int:
        """n^3 / 3 a matrix (Golub and Van Loan 2013, section 4.2.5)."""
        return prod(output.sizes) * output.sizes[-1] // 3

    def compute(self, a: Array, *, out: Array) -> None:
        try:
            out[...] = np.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            fix = "add a small multiple of the identity"
            raise _refused(a, np.linalg.cholesky, "not positive definite", fix) from None

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        """half(L^-T (P + P^T) L^-1) with P = half(L^T upstream): Murray 2016, equation 10."""
        factor = node.output
        p = _half(matmul(factor, upstream, transpose_a=True))
        right = solve_triangular(factor, p + _transposed(p), transpose_a=True)
        return _half(solve_triangular(factor, _transposed(right), transpose_a=True))


def _half(x: Tensor) -> Tensor:
    """The lower triangle, with half of the diagonal."""
    return (tril(x) + tril(x, -1)) * 0.5


def _transposed(x: Tensor) -> Tensor:
    *stack, rows, columns = range(x.spec.rank)
    return transpose(x, (*stack, columns, rows))


def cholesky(a: TensorLike, name: str | None = None) -> Tensor:
    """The lower triangular matrices L with L L^T = a, of positive definite ones.

    Only the lower triangles of `a` are read, and its derivative is 0 above them; that of an x that is made
    symmetric before, `a = (x + x^T) / 2`, is symmetric.

    Arguments:
        a: float `[..., n, n]`; for the derivative n is a size, no name.

    Raises:
        GraphError: not square; or not positive definite (when it runs).
    """
    return Cholesky()(operand(a), name=name)


@dataclass(frozen=True)
class Solve(Op):
    """The x with a x = b, or with a^T x = b."""

    transpose_a: bool = False

    def infer(self, a: Spec, b: Spec) -> Spec:
        require_same_dtype(a, b)
        _require_square(a)
        if b.rank < 2:
            raise GraphError("a matrix has two axes or more", fix="use expand_dims() on vectors")
        if b.shape[-2] != a.shape[-1]:
            raise GraphError(f"there are {a.shape[-1]} equations and {b.shape[-2]} right-hand sides")
        return b.with_shape((*broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]))

    def operations(self, inputs: Sequence[Spec], output: Spec) -> int:
        """2 n^3 / 3 for a matrix (Golub and Van Loan 2013, section 3.2.6), and 2 n^2 for a column."""
        *stack, n, columns = output.sizes
        return prod(stack) * (2 * n**3 // 3 + 2 * n**2 * columns)

    def compute(self, a: Array, b: Array, *, out: Array) -> None:
        try:
            out[...] = np.linalg.solve(a.swapaxes(-1, -2) if self.transpose_a else a, b)
        except np.linalg.LinAlgError:
            raise _refused(a, np.linalg.inv, "singular") from None

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        """Giles 2008, section 2.3.1: of b, a^-T upstream; of a, minus that times x^T."""
        gradient_b = solve(node.inputs[0], upstream, transpose_a=not self.transpose_a)
        return -_outer(gradient_b, node.output, self.transpose_a), gradient_b


def _outer(left: Tensor, right: Tensor, transposed: bool) -> Tensor:
    """left right^T, or its transpose."""
    return matmul(*((right, left) if transposed else (left, right)), transpose_b=True)


def solve(a: TensorLike, b: TensorLike, transpose_a: bool = False, name: str | None = None) -> Tensor:
    """The x with a x = b, for each column of b, by elimination with pivots.

    Arguments:
        a: float `[..., n, n]`.
        b: `[..., n, columns]`; the stacks broadcast.
        transpose_a: swap the last two axes of `a` first.

    Raises:
        GraphError: shapes that don't fit; or a matrix is singular (when it runs).
    """
    return Solve(transpose_a)(*operands(a, b), name=name)


@dataclass(frozen=True)
class SolveTriangular(Solve):
    """The x with t x = b, or with t^T x = b, where t is one triangle of a."""

    lower: bool = True

    def operations(self, inputs: Sequence[Spec], output: Spec) -> int:
        """n^2 for a column."""
        return prod(output.sizes) * output.sizes[-2]

    def compute(self, a: Array, b: Array, *, out: Array) -> None:
        zeros = np.argwhere(np.diagonal(a, axis1=-2, axis2=-1) == 0)
        if len(zeros):
            raise _error(zeros[0, :-1].tolist(), "singular: there is a 0 on its diagonal")
        np.copyto(out, b)
        if self.transpose_a:
            _substitute(a.swapaxes(-1, -2), out, not self.lower)
        else:
            _substitute(a, out, self.lower)

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        """As of `Solve`, and 0 for what of `a` is not read."""
        gradient_b = solve_triangular(node.inputs[0], upstream, self.lower, not self.transpose_a)
        triangle = tril if self.lower else triu
        return -triangle(_outer(gradient_b, node.output, self.transpose_a)), gradient_b


def _substitute(a: Array, x: Array, lower: bool) -> None:
    """x <- t^-1 x, where t is one triangle of a: one half first, then what the other leaves of it.

    NumPy has none of LAPACK's triangular solvers. Its general one substitutes back when the triangle is an
    upper one, where elimination finds nothing to do.
    """
    rows = a.shape[-1]
    if rows <= SMALL:
        order = slice(None, None, -1 if lower else 1)  # a lower triangle is an upper one from the end
        x[..., order, :] = np.linalg.solve(np.triu(a[..., order, order]), x[..., order, :])
        return
    first, second = slice(rows // 2), slice(rows // 2, None)
    if not lower:
        first, second = second, first
    _substitute(a[..., first, first], x[..., first, :], lower)
    x[..., second, :] -= a[..., second, first] @ x[..., first, :]
    _substitute(a[..., second, second], x[..., second, :], lower)


def solve_triangular(
    a: TensorLike, b: TensorLike, lower: bool = True, transpose_a: bool = False, name: str | None = None
) -> Tensor:
    """The x with t x = b, for each column of b, where t is the lower or the upper triangle of a.

    Arguments:
        a: float `[..., n, n]`, of which only that triangle is read; for the derivative n is a size, no name.
        b: `[..., n, columns]`; the stacks broadcast.
        lower: which triangle t is.
        transpose_a: solve t^T x = b.

    Raises:
        GraphError: shapes that don't fit; or there is a 0 on a diagonal (when it runs).
    """
    return SolveTriangular(transpose_a, lower)(*operands(a, b), name=name)
