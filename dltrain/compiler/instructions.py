"""Instruction: what a backend is given to compute, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dltrain.autodiff.spec import Array
from dltrain.compiler.ir import Node
from dltrain.compiler.schedule import Group


@dataclass(frozen=True, eq=False, slots=True)
class Instruction:
    """Nodes that are computed together, in order.

    They are one, with all its outputs; or a group, elementwise ones of one shape; or a group and a reduction
    of one of them, for backends that fuse it. What is not elementwise is written row by row, without gaps;
    all other arrays may have any strides.

    Attributes:
        arrays: of what the nodes read from elsewhere, and of those of them that are read elsewhere.
        loop: of a loop what its turns compute; else None.
    """

    nodes: Group
    arrays: Mapping[Node, Array]
    loop: Loop | None = None

    @property
    def node(self) -> Node:
        """The one whose op is computed; of a group the first."""
        return self.nodes[0]

    @property
    def inputs(self) -> list[Array]:
        """What that one reads."""
        return [self.arrays[source] for source in self.node.inputs]

    @property
    def outputs(self) -> list[Array]:
        """What is written."""
        return [self.arrays[node] for node in self.nodes if node in self.arrays]


@dataclass(frozen=True, eq=False, slots=True)
class Loop:
    """The turns of a loop, planned once for all of them.

    A turn has arrays of its own for what differs from turn to turn; what is captured is read where it lies.
    One may be a state's next value and an output at once.

    Attributes:
        length: the most turns that are made.
        states, elements: what a turn is given; elements have the strides that they have in their sequences.
        next_states, outputs: what it gives.
        turn: computes what it gives.
        condition: computes `going_on`.
        going_on: whether the turn is made; None: always.
        bytes: of memory for what turns are given and compute.
    """

    length: int
    states: Sequence[Array]
    elements: Sequence[Array]
    next_states: Sequence[Array]
    outputs: Sequence[Array]
    turn: Sequence[Instruction]
    condition: Sequence[Instruction]
    going_on: Array | None
    bytes: int
