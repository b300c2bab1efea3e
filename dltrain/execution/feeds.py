"""What a run is given: arrays that fit its inputs, and sizes for their named dimensions."""

from __future__ import annotations

from collections.abc import Sequence

from dltrain.autodiff.dimensions import bound, names_of, size_of
from dltrain.autodiff.graph import Tensor, TensorLike
from dltrain.autodiff.spec import Array, as_array
from dltrain.errors import GraphError


def fed_arrays(inputs: Sequence[Tensor], values: Sequence[TensorLike]) -> list[Array]:
    """The values as arrays that fit the inputs, named dimensions aside.

    Raises:
        GraphError: one does not fit, or there are more or fewer of them than inputs.
    """
    if len(values) != len(inputs):
        raise GraphError(f"{len(values)} values given for {len(inputs)} inputs")
    return [_as_fed(value, tensor) for value, tensor in zip(values, inputs, strict=True)]


def bound_sizes(inputs: Sequence[Tensor], arrays: Sequence[Array]) -> dict[str, int]:
    """The size of each named dimension.

    Raises:
        GraphError: two inputs give one name different sizes.
    """
    sizes: dict[str, int] = {}
    first: dict[str, Tensor] = {}
    fed = [
        (dimension, size, tensor)
        for tensor, array in zip(inputs, arrays, strict=True)
        for dimension, size in zip(tensor.shape, array.shape, strict=True)
    ]
    # Names first, then products of few: what these leave open, others may have told by then.
    for dimension, size, tensor in sorted(fed, key=lambda each: len(set(names_of([each[0]])))):
        rest = bound(dimension, sizes)
        names, factor = names_of([rest]), size_of([rest])
        if len(names) == 1 and (root := _root(size, factor, names.total())) is not None:
            ((name, _),) = names.items()
            sizes[name], first[name] = root, tensor
        elif rest != size:
            other = next((first[name] for name in names_of([dimension]) if name in first), tensor)
            raise GraphError(
                f"{dimension} is {rest} in {other.name} {other.spec} "
                f"but {size} in {tensor.name} {tensor.spec}",
                where=tensor.source,
            )
    return sizes


def _root(size: int, factor: int, power: int) -> int | None:
    """x where `factor * x**power == size`; None where there is no such integer."""
    root = round((size / factor) ** (1 / power))
    return root if factor * root**power == size else None


def require_memory(tensor: Tensor, array: Array, sizes: tuple[int, ...]) -> None:
    """
    Raises:
        GraphError: the array cannot be the memory of an input of these sizes.
    """
    if array.shape != sizes:
        why = f"it is {tensor.spec}, here of shape {sizes}, and the array's shape is {array.shape}"
    elif array.dtype != tensor.dtype:  # also where its bytes are in another order
        why = f"it is {tensor.spec}, and the array of dtype {array.dtype.str!r}"
    elif not (array.flags.c_contiguous and array.flags.aligned):
        why = "its numbers do not lie row by row, or not at places that their size divides"
    else:
        return
    fix = f"give np.require(array, {tensor.dtype.name!r}, 'CA')"
    raise GraphError(f"{tensor.name} cannot lie in the array", where=tensor.source, why=why, fix=fix)


def _as_fed(value: TensorLike, tensor: Tensor) -> Array:
    try:
        array = as_array(value, tensor.dtype)
    except GraphError as error:
        raise GraphError(f"{tensor.name} {tensor.spec} is fed", where=tensor.source, why=str(error)) from None
    if array.ndim != tensor.spec.rank or not all(
        not isinstance(dimension, int) or dimension == size
        for dimension, size in zip(tensor.shape, array.shape, strict=True)
    ):
        raise GraphError(
            f"{tensor.name} is {tensor.spec} but is fed an array of shape {array.shape}", where=tensor.source
        )
    return array
