"""NodesCall: a kernel call of a plan, whichever backend makes it."""

from __future__ import annotations

from typing import NamedTuple

from dltrain.autodiff.spec import Array
from dltrain.backends.c.call import CCall
from dltrain.backends.numpy.tiles import Call
from dltrain.compiler.ir import Node


class NodesCall(NamedTuple):
    """A call of a kernel.

    Attributes:
        nodes: what it computes, or a tile of it.
        group: the nodes that this call and others in a row compute together.
        writes: the arrays that it fills.
        native: what it runs in C; None for NumPy's kernels.
    """

    nodes: tuple[Node, ...]
    call: Call
    group: tuple[Node, ...]
    writes: tuple[Array, ...]
    native: CCall | None = None

    @property
    def function(self) -> str:
        """The name of the C function that it calls; empty for NumPy's kernels."""
        return self.native.name if self.native else ""
