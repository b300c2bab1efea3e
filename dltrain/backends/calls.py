"""NodesCall: a kernel call of a plan, whichever backend makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dltrain.autodiff.spec import Array
from dltrain.compiler.ir import Node

Call = Callable[[], object]


class NodesCall(NamedTuple):
    """A call of a kernel.

    Attributes:
        nodes: what it computes, or a tile of it.
        group: the nodes that this call and others in a row compute together.
        writes: the arrays that it fills.
        function: the name of the C function that it calls; empty for NumPy's kernels.
        kept: what must live as long as the call, because C knows its address only.
    """

    nodes: tuple[Node, ...]
    call: Call
    group: tuple[Node, ...]
    writes: tuple[Array, ...]
    function: str = ""
    kept: object = None
