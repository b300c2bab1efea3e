"""Instruction: what a backend is given to compute, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dltrain.autodiff.spec import Array
from dltrain.compiler.ir import Node
from dltrain.compiler.schedule import Group


@dataclass(frozen=True, eq=False, slots=True)
class Instruction:
    """Nodes that are computed together: one with all its outputs, or an elementwise group, in order.

    Attributes:
        arrays: of what the nodes read from elsewhere, and of those of them that are read elsewhere.
    """

    nodes: Group
    arrays: Mapping[Node, Array]

    @property
    def node(self) -> Node:
        """The one whose op is computed, unless it is a group."""
        return self.nodes[0]

    @property
    def inputs(self) -> list[Array]:
        """What that one reads."""
        return [self.arrays[source] for source in self.node.inputs]

    @property
    def outputs(self) -> list[Array]:
        """What is written."""
        return [self.arrays[node] for node in self.nodes if node in self.arrays]
