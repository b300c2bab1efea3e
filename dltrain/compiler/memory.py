"""Buffer assignment by liveness: an array for every node; values that do not live at one time share memory.

- A view uses the memory of what it views.
- A result that is packed into a vector is computed right at its place in the vector, and the vector of
  neighbouring variables is their own memory.
- An elementwise result may take over the memory of an input that nobody reads later.
- Other memory comes from blocks that are reused as soon as their value has been read for the last time.

Results are the same bits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from dltrain.autodiff.graph import ReadVariable, Variable
from dltrain.autodiff.leaves import Constant, Placeholder
from dltrain.autodiff.ops.bases import Elementwise, View
from dltrain.autodiff.ops.slices import Pack
from dltrain.autodiff.spec import Array, Spec
from dltrain.compiler.ir import Node, Output, explained
from dltrain.compiler.schedule import Group
from dltrain.compiler.storage import Storage, aligned_empty
from dltrain.errors import GraphError


class Blocks:
    """Memory that is handed out and given back; the smallest block that is large enough is reused."""

    def __init__(self) -> None:
        self._free: list[tuple[int, int]] = []  # (bytes, index), sorted
        self._blocks: list[Array] = []

    @property
    def bytes(self) -> int:
        return sum(block.nbytes for block in self._blocks)

    def take(self, spec: Spec) -> tuple[Array, int]:
        """An array of `spec`, and the index of its block."""
        needed = prod(spec.sizes) * spec.dtype.itemsize
        position = bisect_left(self._free, (needed, -1))
        if position < len(self._free) and self._free[position][0] <= 4 * needed:
            index = self._free.pop(position)[1]
        else:
            index = len(self._blocks)
            self._blocks.append(aligned_empty(needed, np.dtype(np.uint8)))
        return self._blocks[index][:needed].view(spec.dtype).reshape(spec.sizes), index

    def give_back(self, index: int) -> None:
        item = (self._blocks[index].nbytes, index)
        self._free.insert(bisect_left(self._free, item), item)


@dataclass(eq=False)
class Memory:
    """Arrays for all nodes but those that never leave their group.

    Attributes:
        kept: nodes that are read after the last group: fetches, guards and new values of variables.
        targets: memory that some nodes must write, from `direct_targets`.
        share: whether memory may be shared at all; without it each node has its own.
        arrays: of the nodes.
        bytes: allocated for results.
    """

    groups: Sequence[Group]
    kept: Sequence[Node]
    targets: Mapping[Node, Array]
    storage: Storage
    share: bool

    def __post_init__(self) -> None:
        self._blocks = Blocks()
        self._block_of: dict[Node, int] = {}
        self._packed_into = self._find_packed() if self.share else {}
        self._last_use = self._find_last_uses()
        self.arrays: dict[Node, Array] = {}
        for number, group in enumerate(self.groups):
            members = set(group)
            for node in group:
                for source in node.inputs:
                    if source not in members and source not in self.arrays:
                        self.arrays[source] = self._leaf(source)
            for position, node in enumerate(group):
                if node in self._last_use:
                    self.arrays[node] = self._result(node, number, group, position)
            if self.share:
                self._release(number, group)
        for node in self.kept:
            if node not in self.arrays:
                self.arrays[node] = self._leaf(node)
        self.bytes = self._blocks.bytes

    def _leaf(self, node: Node) -> Array:
        match node.op:
            case Constant():
                return node.op.value
            case ReadVariable():
                assert isinstance(node.origin, Variable)
                return self.storage.array(node.origin)
            case _:
                assert isinstance(node.op, Placeholder)
                return aligned_empty(prod(node.spec.sizes), node.spec.dtype).reshape(node.spec.sizes)

    def _result(self, node: Node, number: int, group: Group, position: int) -> Array:
        if node in self.targets:
            return self.targets[node]
        if isinstance(node.op, View):
            try:
                view = node.op.view(self.arrays[node.inputs[0]], node.spec.sizes)
            except GraphError as error:
                raise explained(error, node) from None
            if view.size == 0 or np.may_share_memory(view, self.arrays[node.inputs[0]]):
                return view
        elif self.share and (memory := self.storage.read(node)) is not None:
            return memory
        elif node in self._packed_into:
            vector, start = self._packed_into[node]
            if vector not in self.arrays:
                self._take(vector)
            return self.arrays[vector][start : start + prod(node.spec.sizes)].reshape(node.spec.sizes)
        elif self.share and (heir_of := self._reusable_input(node, number, group, position)) is not None:
            self._block_of[node] = self._block_of.pop(heir_of)
            return self.arrays[heir_of]
        if node not in self.arrays:
            self._take(node)
        return self.arrays[node]

    def _take(self, node: Node) -> None:
        self.arrays[node], self._block_of[node] = self._blocks.take(node.spec)

    def _reusable_input(self, node: Node, number: int, group: Group, position: int) -> Node | None:
        """An input of the group with the node's spec that is not read after this node, nor through a view."""
        if not isinstance(node.op, Elementwise):
            return None
        still_read = {source for later in group[position + 1 :] for source in later.inputs}
        still_read.update(
            source.viewed for member in group for source in member.inputs if isinstance(source.op, View)
        )
        if not node.op.in_place:
            still_read.update(node.inputs)
        for member in group[: position + 1]:
            for source in member.inputs:
                if (
                    source in self._block_of
                    and source not in group
                    and source.spec == node.spec
                    and self._last_use[source] == number
                    and source not in still_read
                ):
                    return source
        return None

    def _release(self, number: int, group: Group) -> None:
        for root in {self._root(source) for node in group for source in (*node.inputs, node)}:
            if root in self._block_of and self._last_use[root] == number:
                self._blocks.give_back(self._block_of.pop(root))

    def _root(self, node: Node) -> Node:
        """The node whose memory this one uses."""
        root = node.viewed
        return self._packed_into[root][0] if root in self._packed_into else root

    def _find_packed(self) -> dict[Node, tuple[Node, int]]:
        """For results that are packed into one vector: the vector, and where in it they start."""
        places: dict[Node, tuple[Node, int]] = {}
        for group in self.groups:
            vector = group[0]
            if isinstance(vector.op, Pack):
                start = 0
                for source in vector.inputs:
                    computed = not source.is_leaf and not isinstance(source.op, View | Pack)
                    if computed and source not in places and source not in self.targets:
                        places[source] = vector, start
                    start += prod(source.spec.sizes)
        return places

    def _find_last_uses(self) -> dict[Node, int]:
        """The last group that reads each node's memory; a node only read in its own group has none."""
        last: dict[Node, int] = {}
        for number, group in enumerate(self.groups):
            members = set(group)
            for node in group:
                if isinstance(node.op, Output):  # there must be memory for it, even if nobody reads it
                    last.update(dict.fromkeys(group, number))
                for source in node.inputs:
                    if source not in members:
                        last[source] = last[self._root(source)] = number
        for node in self.kept:
            last[node] = last[self._root(node)] = len(self.groups)
        for node in self.targets:
            last.setdefault(node, len(self.groups))
        return last
