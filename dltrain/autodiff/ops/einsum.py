"""Einstein's sums of products, as transposes, matrix products and sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from dltrain.autodiff.dimensions import Dimension, Shape, names_of, product, size_of
from dltrain.autodiff.graph import Tensor, TensorLike, name_scope
from dltrain.autodiff.ops.arithmetic import multiply
from dltrain.autodiff.ops.bases import operands
from dltrain.autodiff.ops.matmul import matmul
from dltrain.autodiff.ops.reduce import sum
from dltrain.autodiff.ops.shape import reshape, transpose
from dltrain.errors import GraphError

__all__ = ["einsum"]

Labels = tuple[str, ...]  # a letter for each axis; those that "..." stands for are numbered from the last one


def einsum(equation: str, *tensors: TensorLike, name: str | None = None) -> Tensor:
    """Sums of products: "ij,jk->ik" is `result[i, k] = sum_j a[i, j] b[j, k]`, the matrix product.

    Operands are multiplied from left to right, two at a time, and summed over an axis as soon as nothing else
    has it. A product with a sum is a matrix product where one of the two has an axis that the other has not.

    Arguments:
        equation: a letter for each axis of each operand, and after "->" those of the result; default those
            that occur once, in the order of the alphabet. "..." stands for the axes that no letter names,
            aligned from the last one; by default they come first in the result.
        tensors: float32 or float64; the axes of one letter have one size.

    Raises:
        GraphError: the equation does not fit the operands, or repeats a letter within one of them.
    """
    if not isinstance(equation, str):
        raise GraphError(f"einsum: the equation is text, not {equation!r}", fix="give it first")
    terms, arrow, result = equation.replace(" ", "").partition("->")
    if len(terms.split(",")) != len(tensors):
        raise GraphError(f"einsum {equation!r} is not for {len(tensors)} tensors")
    operand, *_ = converted = operands(*tensors)
    with operand.graph, name_scope(name or "einsum"):
        factors = [
            _Factor(tensor, _labels(term, tensor.spec.rank))
            for term, tensor in zip(terms.split(","), converted, strict=True)
        ]
        sizes = _sizes(factors)
        unnamed = tuple(sorted((label for label in sizes if not label.isalpha()), key=int, reverse=True))
        kept = (
            _labels(result, len(result.replace("...", "")) + len(unnamed))
            if arrow
            else _implied(factors, unnamed)
        )
        if unknown := set(kept) - set(sizes):
            raise GraphError(f"einsum {equation!r}: no tensor has the axis {min(unknown)!r} of the result")
        total, *rest = factors
        for place, factor in enumerate(rest, start=1):
            later = {*kept, *(label for other in rest[place:] for label in other.labels)}
            total = _multiplied(total, factor, later)
        return total.summed(kept).transposed(kept).tensor


@dataclass(frozen=True)
class _Factor:
    """A tensor and the labels of its axes."""

    tensor: Tensor
    labels: Labels

    def summed(self, kept: Iterable[str]) -> _Factor:
        """Without the axes that are not kept."""
        axes = [axis for axis, label in enumerate(self.labels) if label not in kept]
        labels = tuple(label for label in self.labels if label in kept)
        return _Factor(sum(self.tensor, axes), labels) if axes else self

    def transposed(self, labels: Labels) -> _Factor:
        """With the axes in this order."""
        if labels == self.labels:
            return self
        return _Factor(transpose(self.tensor, [self.labels.index(label) for label in labels]), labels)

    def shape(self, labels: Labels) -> Shape:
        """The sizes of these axes, 1 for those that it has not."""
        sizes = dict(zip(self.labels, self.tensor.shape, strict=True))
        return tuple(sizes.get(label, 1) for label in labels)

    def matrix(self, stack: Labels, rows: Labels, columns: Labels) -> Tensor:
        """The tensor `[*stack, rows, columns]`, several axes merged into one."""
        x = self.transposed((*stack, *rows, *columns)).tensor
        if len(rows) == len(columns) == 1:
            return x
        return reshape(x, (*self.shape(stack), _merged(self.shape(rows)), _merged(self.shape(columns))))

    def broadcast(self, labels: Labels) -> Tensor:
        """The tensor with all of these axes, those that it has not as size 1."""
        x = self.transposed(tuple(label for label in labels if label in self.labels)).tensor
        return reshape(x, self.shape(labels)) if len(labels) > len(self.labels) else x


def _multiplied(a: _Factor, b: _Factor, later: Collection[str]) -> _Factor:
    """a times b, summed over the axes that are not needed later."""
    a, b = a.summed({*later, *b.labels}), b.summed({*later, *a.labels})
    shared = [label for label in a.labels if label in b.labels]
    stack = tuple(label for label in shared if label in later)
    inner = tuple(label for label in shared if label not in later)
    rows = tuple(label for label in a.labels if label not in shared)
    columns = tuple(label for label in b.labels if label not in shared)
    labels = (*stack, *rows, *columns)
    if not inner or not (rows or columns):
        every = (*labels, *inner)
        return _Factor(multiply(a.broadcast(every), b.broadcast(every)), every).summed(labels)
    x = matmul(a.matrix(stack, rows, inner), b.matrix(stack, inner, columns))
    if not len(rows) == len(columns) == 1:
        x = reshape(x, (*a.shape(stack), *a.shape(rows), *b.shape(columns)))
    return _Factor(x, labels)


def _labels(term: str, rank: int) -> Labels:
    """
    Raises:
        GraphError: the term names another number of axes, or one twice, or has what is no letter.
    """
    before, dots, after = term.partition("...")
    unnamed = rank - len(before) - len(after) if dots else 0
    labels = (*before, *map(str, range(unnamed, 0, -1)), *after)
    if len(labels) != rank or unnamed < 0:
        raise GraphError(f"einsum: {term!r} does not name the axes of a tensor of rank {rank}")
    if not (before + after).isalpha() and before + after:
        raise GraphError(f"einsum: an axis is a letter, in {term!r}")
    if len(set(labels)) < len(labels):
        raise GraphError(f"einsum: {term!r} names an axis twice", fix="use diagonal()")
    return labels


def _sizes(factors: Sequence[_Factor]) -> dict[str, Dimension]:
    """The size of each label.

    Raises:
        GraphError: a label has two sizes.
    """
    sizes: dict[str, Dimension] = {}
    for factor in factors:
        for label, size in zip(factor.labels, factor.tensor.shape, strict=True):
            if sizes.setdefault(label, size) != size:
                raise GraphError(f"einsum: the axis {label!r} has the sizes {sizes[label]} and {size}")
    return sizes


def _implied(factors: Sequence[_Factor], unnamed: Labels) -> Labels:
    """The labels of the result where the equation names none."""
    counts = Counter(label for factor in factors for label in factor.labels if label not in unnamed)
    return (*unnamed, *sorted(label for label, count in counts.items() if count == 1))


def _merged(sizes: Shape) -> Dimension:
    return product(names_of(sizes), size_of(sizes))
