"""What is asked of an op: who differentiates or compiles a graph needs to know no op by its class."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Any, ClassVar

import numpy as np

from dltrain.autodiff.layout import Layout
from dltrain.autodiff.spec import Array, Spec
from dltrain.errors import NotDifferentiableError

Workspace = tuple[tuple[int, ...], np.dtype[Any]]
"""Shape and dtype of an array."""


class Properties:
    """What a node's op says of itself: its shape rule, kernel, gradient, and what a compiler may make of it.

    A rule (`simplified`, `reassociated`) is given a node of the compiler: with `op`, `inputs` (nodes), `spec`
    (whose dimensions are all sizes), `with_inputs(inputs)`, and `replaced(op, *inputs)`, which is a new node.
    """

    label: ClassVar[str]
    """The class' name in snake case: the default name of its nodes."""

    is_leaf: ClassVar[bool] = False
    """Whether the value is there before anything is computed."""

    is_elementwise: ClassVar[bool] = False
    """See `Elementwise`."""

    combine: ClassVar[str | None] = None
    """Of a reduction that a plan may compile, see `Reduction`."""

    is_view: ClassVar[bool] = False
    """See `View`."""

    is_join: ClassVar[bool] = False
    """See `Join`."""

    is_broadcast: ClassVar[bool] = False
    """Whether it only repeats its input, as elementwise ops do by themselves."""

    reads_shapes_only: ClassVar[bool] = False
    """Whether the result depends on the inputs' shapes, and on nothing else of them."""

    in_place: ClassVar[bool] = False
    """Whether `out` may be the memory of an input of the same shape and dtype."""

    ufunc: ClassVar[np.ufunc | None] = None
    """The NumPy function that is the whole kernel, if there is one."""

    kernel: ClassVar[type | None] = None
    """The class whose kernel (`compute` or `ufunc`) it has; None: no class of its bases has one yet."""

    formula: ClassVar[str | None] = None
    """See `expression`."""

    def infer(self, *inputs: Any, **_: Any) -> Spec | tuple[Spec, ...]:
        """The shape function: spec of the output, or of each, from the inputs'.

        Raises:
            GraphError: they don't fit.
        """
        raise NotImplementedError(type(self).__name__)

    def compute(self, *inputs: Any, **output: Any) -> None:
        """The kernel: `compute(*arrays, out=array)` fills `out` and changes no input.

        Of an op with several outputs `out` is a tuple of arrays. The default is the class' `ufunc`.
        """
        assert self.ufunc is not None, f"{type(self).__name__} has neither a ufunc nor a kernel"
        self.ufunc(*inputs, **output)

    def gradient(self, node: Any, *upstreams: Any) -> Any:
        """The gradient of each input (None where there is none), as graph; may use the node's outputs.

        `upstreams` are the gradients of the outputs; that of one among several is None where nothing depends
        on it. A gradient may still have the output's shape where the input was broadcast: the reverse walk
        sums it back.
        """
        raise NotDifferentiableError(
            f"{self.label} has no derivative",
            where=node.source,
            why=f"a gradient was asked for through {node.name!r}",
            fix="leave it off the path from the variables to the loss, or wrap it in stop_gradient()",
        )

    @property
    def constant(self) -> Array | None:
        """The value, where it is fixed in the graph."""
        return None

    @property
    def logarithm(self) -> Any:
        """The op that gives the result's logarithm, finite where that underflows to 0; None: no op does."""
        return None

    @property
    def family(self) -> Hashable:
        """What ops share that can be one (`united`), on the same inputs, or give less (`pruned`); or None."""
        return None

    def united(self, members: Sequence[Any]) -> tuple[Any, Sequence[Sequence[int]]]:
        """One op in place of several of the family, and for each the numbers that its outputs have there."""
        raise NotImplementedError(type(self).__name__)

    def pruned(self, read: Collection[int]) -> tuple[Any, Sequence[int], Sequence[int]]:
        """An op for those outputs that are read, which have these numbers.

        Returns:
            the op, and the numbers of the inputs and outputs that it still has, in order.
        """
        raise NotImplementedError(type(self).__name__)

    def overwritten(self, output: int) -> Collection[int]:
        """The numbers of inputs in whose memory the output with this number may lie, if it takes as much.

        What is elementwise says `in_place` instead.
        """
        return ()

    def view(self, x: Layout, shape: tuple[int, ...]) -> Layout | None:
        """Where the result's numbers lie among those of `x`, the first input; None: they must be computed."""
        return None

    def parts(self, out: Layout, shapes: Sequence[tuple[int, ...]]) -> Sequence[Layout]:
        """Where in the result the inputs lie, whose shapes these are."""
        return ()

    def expression(self) -> str | None:
        """Of an elementwise op the function in C, where the plan may compile it; the class' `formula`.

        {0}, {1}, ... are the inputs' numbers, {T} is the C type of the result, and {F} the suffix, "f" or
        none, of C's mathematical functions of the first input's type. None: only the kernel computes it.
        """
        return self.formula

    def operations(self, inputs: Sequence[Spec], output: Spec) -> int:
        """Floating-point operations, where they are many more than numbers are read and written; else 0."""
        return 0

    def workspace(self, *inputs: Array, out: Array) -> Workspace | None:
        """The array that the kernel needs while it runs, and is given: `compute(..., workspace=array)`.

        None: it needs none. A kernel that is given none makes one.
        """
        return None

    def simplified(self, node: Any) -> Any:
        """What has the same bits as the node, and is cheaper; the node itself where there is nothing."""
        return node

    def reassociated(self, node: Any, own: Collection[Any]) -> Any:
        """What equals the node but for rounding, and is cheaper; the node itself where there is nothing.

        Arguments:
            own: those of its inputs that nobody else reads, so that they need not be computed.
        """
        return node


def is_all(op: Properties, number: int) -> bool:
    """Whether the op is a constant of nothing but this number; -0 is not 0."""
    value = op.constant
    if value is None or not value.size:
        return False
    return bool((value == number).all() and not np.signbit(value).any())
