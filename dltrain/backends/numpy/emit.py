"""From instructions to calls of NumPy's kernels: elementwise groups tile by tile, so that what is in between
stays in cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import ceil, prod

import numpy as np

from dltrain.autodiff.ops.bases import Elementwise
from dltrain.autodiff.spec import Array
from dltrain.backends.calls import Call, NodesCall
from dltrain.compiler.instructions import Copy, Instruction
from dltrain.compiler.ir import Node
from dltrain.compiler.schedule import Group
from dltrain.compiler.storage import aligned_empty

TILE = 32_768  # elements of each array in a tile: four float32 arrays of it fill half of a 1 MiB cache
MOST_TILES = 512  # beyond that tiles grow, so that a plan stays small


def kernel_call(node: Node, arrays: Mapping[Node, Array], others: Sequence[Node] = ()) -> Call:
    """The node's kernel bound to its arrays; `others` are its other outputs."""
    ufunc = node.op.ufunc if isinstance(node.op, Elementwise) else None
    out = (arrays[node], *(arrays[other] for other in others)) if others else arrays[node]
    return partial(ufunc or node.op.compute, *(arrays[source] for source in node.inputs), out=out)


class Scratch:
    """Tile-sized memory for values inside of groups, shared by all groups of a plan."""

    def __init__(self) -> None:
        self._rows: list[Array] = []

    @property
    def bytes(self) -> int:
        return sum(row.nbytes for row in self._rows)

    def array(self, row: int, node: Node, shape: tuple[int, ...]) -> Array:
        needed = prod(shape) * node.spec.dtype.itemsize
        while len(self._rows) <= row:
            self._rows.append(aligned_empty(TILE * 4, np.dtype(np.uint8)))
        memory = self._rows[row]
        if needed > memory.nbytes:
            memory = aligned_empty(needed, np.dtype(np.uint8))
            self._rows[row] = memory
        return memory[:needed].view(node.spec.dtype).reshape(shape)


def numpy_calls(
    listed: Sequence[Instruction], arrays: Mapping[Node, Array], scratch: Scratch
) -> list[NodesCall]:
    """The kernel calls of the instructions in order."""
    calls: list[NodesCall] = []
    for instruction in listed:
        if isinstance(instruction, Copy):
            node = instruction.node
            calls.append(_copy_call(node, instruction.source, instruction.target, (node,)))
        elif isinstance(instruction[0].op, Elementwise):
            calls += _group_calls(instruction, arrays, scratch)
        else:
            node, *others = instruction
            written = tuple(arrays[output] for output in instruction)
            calls.append(NodesCall((node,), kernel_call(node, arrays, others), instruction, written))
    return calls


def _copy_call(node: Node, source: Array, target: Array, group: Group) -> NodesCall:
    """What copies `source` into `target`, without a line of Python as there is in NumPy's `copyto`."""
    return NodesCall((node,), partial(target.__setitem__, ..., source), group, (target,))


def _group_calls(group: Group, arrays: Mapping[Node, Array], scratch: Scratch) -> Iterator[NodesCall]:
    """The kernel calls of an elementwise group in order, tile by tile.

    Arguments:
        arrays: of the group's inputs and of those of its nodes that are read elsewhere.
    """
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
    rows = _rows_in_use(group, results, _must_be_staged(group, inputs, results))
    for tile in _tiles(shape):
        tile_shape = (*(part.stop - part.start for part in tile), *shape[len(tile) :])
        parts = {node: _part(array, tile, len(shape)) for node, array in inputs.items()}
        for node in group:
            if node in rows:
                out = scratch.array(rows[node], node, tile_shape)
            else:
                out = _part(results[node], tile, len(shape))
            parts[node] = out
            yield NodesCall((node,), kernel_call(node, parts), group, (out,))
        for node in group:
            if node in rows and node in results:
                yield _copy_call(node, parts[node], _part(results[node], tile, len(shape)), group)


def _is_flat(shape: tuple[int, ...], arrays: list[Array]) -> bool:
    """Whether every array is a single number, or has the group's shape without gaps."""
    return all(array.size == 1 or (array.shape == shape and array.flags.c_contiguous) for array in arrays)


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Cuts of the first axis into parts of about `TILE` elements."""
    if not shape:
        yield ()
        return
    inner = prod(shape[1:])
    length = max(1, TILE // inner, ceil(shape[0] / MOST_TILES))
    for start in range(0, shape[0], length):
        yield (slice(start, min(start + length, shape[0])),)


def _part(array: Array, tile: tuple[slice, ...], rank: int) -> Array:
    """What of an input or result belongs to the tile, under broadcasting."""
    if not tile or array.ndim < rank or array.shape[0] == 1:
        return array
    return array[tile]


def _must_be_staged(group: Group, inputs: Mapping[Node, Array], results: Mapping[Node, Array]) -> set[Node]:
    """Results whose memory is that of an input which is still read after, or during, their kernel."""
    staged = set()
    for position, node in enumerate(group):
        if node in results:
            assert isinstance(node.op, Elementwise)
            readers = group[position + 1 :] if node.op.in_place else group[position:]
            if any(
                source in inputs and np.may_share_memory(inputs[source], results[node])
                for reader in readers
                for source in reader.inputs
            ):
                staged.add(node)
    return staged


def _rows_in_use(group: Group, results: Mapping[Node, Array], staged: set[Node]) -> dict[Node, int]:
    """A row of scratch memory for each node that needs one; a row is used again after its last reader."""
    last_reader = {source: position for position, node in enumerate(group) for source in node.inputs}
    rows: dict[Node, int] = {}
    free: list[int] = []
    for position, node in enumerate(group):
        assert isinstance(node.op, Elementwise)
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
