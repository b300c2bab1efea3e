"""Elementwise groups tile by tile, so that what is in between stays in cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, prod

import numpy as np

from dltrain.autodiff.ops.bases import Elementwise
from dltrain.autodiff.spec import Array
from dltrain.backends.backend import Call
from dltrain.backends.numpy.backend import NumPy, copying, kernel
from dltrain.backends.scratch import Scratch
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import Node
from dltrain.compiler.schedule import Group

TILE = 32_768  # elements of each array in a tile: four float32 arrays of it fill half of a 1 MiB cache
TILE_BYTES = 4 * 4 * TILE  # of all arrays in a tile, where there are fewer of them, or narrower ones
MOST_TILES = 512  # beyond that tiles grow, so that a plan stays small


@NumPy.lowering(Elementwise)
def group_calls(work: Instruction, numpy: NumPy) -> list[Call]:
    """The calls of the group's kernels in order, tile by tile."""
    return list(_tile_calls(work.nodes, work.arrays, numpy.scratch))


def _tile_calls(group: Group, arrays: Mapping[Node, Array], scratch: Scratch) -> Iterator[Call]:
    shape = group[0].spec.sizes
    if 0 in shape:
        return
    members = set(group)
    results = {node: arrays[node] for node in group if node in arrays}
    inputs = {source: arrays[source] for node in group for source in node.inputs if source not in members}
    if _is_flat(shape, [*results.values(), *inputs.values()]):
        shape = (prod(shape),)
        inputs = {node: array.reshape(-1 if array.size > 1 else ()) for node, array in inputs.items()}
        results = {node: array.reshape(-1) for node, array in results.items()}
    homes, staged = _homes(group, inputs, results)
    rows = _rows_in_use(group, homes, staged)
    free = 1 + max(rows.values(), default=-1)
    each = sum(node.spec.dtype.itemsize for node in (*inputs, *results, *rows) if node.spec.shape)
    for tile in _tiles(shape, max(TILE, TILE_BYTES // max(each, 1))):
        tile_shape = (*(part.stop - part.start for part in tile), *shape[len(tile) :])
        parts = {node: _part(array, tile, len(shape)) for node, array in inputs.items()}
        for node in group:
            if node in rows:
                out = scratch.array(rows[node], tile_shape, node.spec.dtype)
            else:
                out = _part(homes[node], tile, len(shape))
            parts[node] = out
            yield Call(kernel(node, parts, (), scratch, free), (node,), group, (out,), "NumPy")
        for node in group:
            if node in rows and node in results:
                target = _part(results[node], tile, len(shape))
                yield Call(copying(parts[node], target), (node,), group, (target,), "NumPy")


def _is_flat(shape: tuple[int, ...], arrays: list[Array]) -> bool:
    """Whether every array is a single number, or has the group's shape without gaps."""
    return all(array.size == 1 or (array.shape == shape and array.flags.c_contiguous) for array in arrays)


def _tiles(shape: tuple[int, ...], elements: int) -> Iterator[tuple[slice, ...]]:
    """Cuts of the first axis into parts of about so many elements."""
    if not shape:
        yield ()
        return
    inner = prod(shape[1:])
    length = max(1, elements // inner, ceil(shape[0] / MOST_TILES))
    for start in range(0, shape[0], length):
        yield (slice(start, min(start + length, shape[0])),)


def _part(array: Array, tile: tuple[slice, ...], rank: int) -> Array:
    """What of an input or result belongs to the tile, under broadcasting."""
    if not tile or array.ndim < rank or array.shape[0] == 1:
        return array
    return array[tile]


def _homes(
    group: Group, inputs: Mapping[Node, Array], results: Mapping[Node, Array]
) -> tuple[dict[Node, Array], set[Node]]:
    """Memory of results for these, and for what each of them is made of in place.

    And the results that cannot be computed there: in their memory lies an input which is still read after, or
    during, their kernel.
    """
    positions = {node: position for position, node in enumerate(group)}
    last_reader = {source: node for node in group for source in node.inputs}
    read_until = {
        node: max(
            [
                positions[last_reader[source]]
                for source, array in inputs.items()
                if np.may_share_memory(array, result)
            ],
            default=-1,
        )
        for node, result in results.items()
    }

    def may_hold(result: Node, node: Node) -> bool:
        return read_until[result] < positions[node] + node.op.in_place

    staged = {node for node in results if not may_hold(node, node)}
    takes_over = {node: node for node in results if node not in staged}
    for node in reversed(group):
        if node in takes_over and node.op.in_place:
            for source in node.inputs:
                if (
                    source in positions
                    and source not in results
                    and last_reader[source] is node
                    and source.spec.dtype == node.spec.dtype
                    and may_hold(takes_over[node], source)
                ):
                    takes_over[source] = takes_over[node]
                    break
    return {**results, **{node: results[result] for node, result in takes_over.items()}}, staged


def _rows_in_use(group: Group, results: Mapping[Node, Array], staged: set[Node]) -> dict[Node, int]:
    """A row of scratch memory for each node that needs one; a row is used again after its last reader."""
    last_reader = {source: position for position, node in enumerate(group) for source in node.inputs}
    rows: dict[Node, int] = {}
    free: list[int] = []
    for position, node in enumerate(group):
        ending = [
            source
            for source in dict.fromkeys(node.inputs)
            if source in rows and source not in staged and last_reader[source] == position
        ]
        before = [
            source
            for source in ending
            if node.op.in_place and source.spec.dtype.itemsize == node.spec.dtype.itemsize
        ]
        free += [rows[source] for source in before]
        if node not in results or node in staged:
            rows[node] = free.pop() if free else len(set(rows.values()))
        free += [rows[source] for source in ending if source not in before]
    return rows
