"""Dimensions: a size, a name that a run binds to a size, or a product of names and sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, slots=True)
class Product:
    """Names times a size, such as `batch*28`; made by `product`, so that equal products are equal.

    Attributes:
        names: one or more, sorted; a name may be there twice.
        size: what they are multiplied by.
    """

    names: tuple[str, ...]
    size: int

    def __repr__(self) -> str:
        return "*".join([*self.names, str(self.size)] if self.size != 1 else self.names)


Dimension = int | str | Product
Shape = tuple[Dimension, ...]


def names_of(shape: Iterable[Dimension]) -> Counter[str]:
    """The names in it, and how often each is a factor."""
    names: Counter[str] = Counter()
    for dimension in shape:
        if isinstance(dimension, str):
            names[dimension] += 1
        elif isinstance(dimension, Product):
            names.update(dimension.names)
    return names


def size_of(shape: Iterable[Dimension]) -> int:
    """The product of the sizes in it, names left out."""
    sizes = (dimension.size if isinstance(dimension, Product) else dimension for dimension in shape)
    return prod(size for size in sizes if isinstance(size, int))


def product(names: Counter[str], size: int) -> Dimension:
    """The dimension that is all of these multiplied."""
    factors = tuple(sorted(names.elements()))
    if not factors or not size:
        return size
    return factors[0] if len(factors) == 1 and size == 1 else Product(factors, size)


def bound(dimension: Dimension, sizes: Mapping[str, int]) -> Dimension:
    """With each name replaced by its size, where `sizes` has one."""
    if isinstance(dimension, str):
        return sizes.get(dimension, dimension)
    if isinstance(dimension, int):
        return dimension
    rest = Counter(name for name in dimension.names if name not in sizes)
    return product(rest, dimension.size * prod(sizes.get(name, 1) for name in dimension.names))


def listed(shape: Iterable[Dimension]) -> str:
    """The shape in a message: `[batch*28, 64]`."""
    return f"[{', '.join(map(str, shape))}]"
