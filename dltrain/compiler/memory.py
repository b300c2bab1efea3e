"""Buffer assignment by liveness: a buffer for every node; values that do not live at one time share memory.

- A view lies where what it views lies, and what is joined right at its place in the result.
- The vector of neighbouring variables is their own memory.
- A result may take over the memory of an input that nobody reads later, where its op says so.
- Other memory comes from blocks that are reused as soon as their value has been read for the last time.

Results are the same bits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from dltrain.autodiff.layout import Layout
from dltrain.autodiff.spec import Spec
from dltrain.compiler.buffers import Block, Buffer
from dltrain.compiler.copies import Place
from dltrain.compiler.ir import Node
from dltrain.compiler.schedule import Group
from dltrain.compiler.storage import Storage


class Blocks:
    """Memory that is handed out and given back; the smallest block that is large enough is reused."""

    def __init__(self) -> None:
        self._free: list[tuple[int, int]] = []  # (bytes, index), sorted
        self._blocks: list[Block] = []

    @property
    def bytes(self) -> int:
        return sum(block.nbytes for block in self._blocks)

    def take(self, spec: Spec) -> tuple[Buffer, int]:
        """A buffer of `spec`, and the index of its block."""
        needed = prod(spec.sizes) * spec.dtype.itemsize
        position = bisect_left(self._free, (needed, -1))
        if position < len(self._free) and self._free[position][0] <= 4 * needed:
            index = self._free.pop(position)[1]
        else:
            index = len(self._blocks)
            self._blocks.append(Block(needed))
        return Buffer(self._blocks[index], Layout.contiguous(spec.sizes), spec.dtype), index

    def give_back(self, index: int) -> None:
        item = (self._blocks[index].nbytes, index)
        self._free.insert(bisect_left(self._free, item), item)


@dataclass(eq=False)
class Memory:
    """Buffers for all nodes but those that never leave their group.

    Attributes:
        kept: nodes that are read after the last group: inputs, fetches, guards and new values of variables.
        given: buffers that some nodes have to have.
        places: of what is joined.
        share: whether memory may be shared at all; without it each node has its own.
        buffers: of the nodes.
        bytes: of the blocks for results.
    """

    groups: Sequence[Group]
    kept: Sequence[Node]
    given: Mapping[Node, Buffer]
    places: Mapping[Node, Place]
    storage: Storage
    share: bool

    def __post_init__(self) -> None:
        self._blocks = Blocks()
        self._block_of: dict[Node, int] = {}
        self._parts: dict[Node, Sequence[Layout]] = {}
        self._last_use = self._find_last_uses()
        self.buffers: dict[Node, Buffer] = dict(self.given)
        for number, group in enumerate(self.groups):
            members = set(group)
            for node in group:
                for source in node.inputs:
                    if source not in members:
                        self._find(source)
            heirless = self._heirless(number, group) if self.share else {}
            for position, node in enumerate(group):
                if node in self._last_use and node not in self.buffers:
                    self.buffers[node] = self._result(number, position, heirless)
            if self.share:
                self._release(number, group)
        for node in self.kept:
            self._find(node)
        self.bytes = self._blocks.bytes

    def _find(self, node: Node) -> Buffer:
        """The buffer of a node that is there before it is asked for: of what is not computed."""
        if node not in self.buffers:
            self.buffers[node] = self._uncomputed(node)
        return self.buffers[node]

    def _uncomputed(self, node: Node) -> Buffer:
        if node.op.is_view:
            source = self._find(node.inputs[0])
            layout = node.op.view(source.layout, node.spec.sizes)
            assert layout is not None
            return source.at(layout)
        if (variables := self.storage.read(node)) is not None:
            return variables
        if node.op.is_join:
            return self._take(node)
        return Buffer.of(node.spec, node.op.constant)

    def _result(self, number: int, position: int, heirless: dict[Node, int]) -> Buffer:
        group = self.groups[number]
        node = group[position]
        if node in self.places:
            join, place = self.places[node]
            whole = self._find(join)
            if join not in self._parts:
                self._parts[join] = join.op.parts(whole.layout, [part.spec.sizes for part in join.inputs])
            return whole.at(self._parts[join][place])
        for source, last in heirless.items():
            if not node.op.is_elementwise:
                break
            if source.spec == node.spec and (last < position or (last == position and node.op.in_place)):
                del heirless[source]
                self._block_of[node] = self._block_of.pop(source)
                return self.buffers[source]
        for place in group[0].op.overwritten(position) if self.share else ():
            if (buffer := self._inherited(number, group[0], place, node.spec)) is not None:
                self._block_of[node] = self._block_of.pop(self._root(group[0].inputs[place]))
                return buffer
        return self._take(node)

    def _inherited(self, number: int, node: Node, place: int, spec: Spec) -> Buffer | None:
        """The memory of an input, for a result of the spec; None if another one reads it, now or later."""
        source = node.inputs[place]
        root, buffer = self._root(source), self.buffers[source]
        whole = self.buffers[root]
        if (
            root in self._block_of
            and self._last_use[root] == number
            and [self._root(other) for other in node.inputs].count(root) == 1
            and buffer.is_contiguous
            and buffer.dtype == spec.dtype
            and buffer.layout.size == whole.layout.size == prod(spec.sizes)
        ):
            return whole.at(Layout.contiguous(spec.sizes, whole.layout.offset))
        return None

    def _take(self, node: Node) -> Buffer:
        buffer, self._block_of[node] = self._blocks.take(node.spec)
        return buffer

    def _heirless(self, number: int, group: Group) -> dict[Node, int]:
        """Inputs of an elementwise group whose memory its results may take, and where each is read last.

        Nobody reads them later, nor anything that lies in their memory.
        """
        last: dict[Node, int] = {}
        if group[0].op.is_elementwise:
            others = set()
            for position, node in enumerate(group):
                for source in node.inputs:
                    if source in self._block_of and self._last_use[source] == number:
                        last[source] = position
                    if (root := self._root(source)) is not source:
                        others.add(root)
            for root in others:
                last.pop(root, None)
        return last

    def _release(self, number: int, group: Group) -> None:
        for root in {self._root(source) for node in group for source in (*node.inputs, node)}:
            if root in self._block_of and self._last_use[root] == number:
                self._blocks.give_back(self._block_of.pop(root))

    def _root(self, node: Node) -> Node:
        """The node whose memory this one uses."""
        root = node.viewed
        return self.places[root].join if root in self.places else root

    def _find_last_uses(self) -> dict[Node, int]:
        """The last group that reads each node's memory; a node only read in its own group has none."""
        last: dict[Node, int] = {}
        for number, group in enumerate(self.groups):
            members = set(group)
            for node in group:
                if group[0].others:  # there must be memory for all outputs, even if nobody reads one
                    last[node] = number
                if node in self.places:
                    last[node] = last[self._root(node)] = number
                for source in node.inputs:
                    if source not in members:
                        last[source.viewed] = last[self._root(source)] = number
        for node in self.kept:
            last[node.viewed] = last[self._root(node)] = len(self.groups)
        for node in self.given:
            last.setdefault(node, len(self.groups))
        return last
