"""Copies: what must be copied becomes a node that copies, so that all other views and joins cost nothing.

Afterwards every view is one of memory that can be viewed so, and every input of a join can be computed right
at its place in the result. A copy is elementwise, and takes part in groups. Results are the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from dltrain.autodiff.layout import Layout
from dltrain.compiler.buffers import Buffer
from dltrain.compiler.ir import Lowered, Node, explained
from dltrain.compiler.storage import Storage
from dltrain.errors import GraphError


class Place(NamedTuple):
    """Where a node is computed: as the input of a join with this number."""

    join: Node
    number: int


def with_copies(
    program: Lowered, storage: Storage, given: Mapping[Node, Buffer], share: bool
) -> tuple[Lowered, dict[Node, Place]]:
    """The program with its copies, and the places of what its joins are made of.

    Arguments:
        given: where inputs lie that have no block of their own.
        share: whether what is joined may be computed right at its place; else all of it is copied there.

    Raises:
        GraphError: a view of what does not exist, in a dimension that had a name until now.
    """
    places: dict[Node, Place] = {}
    layouts = {node: buffer.layout for node, buffer in given.items()}  # and those of views

    def transform(node: Node) -> Node:
        op = node.op
        if op.is_view:
            return _viewing(node, layouts)
        if op.is_join and (not share or storage.read(node) is None):
            return _joining(node, places, share)
        return node

    program = program.rebuilt(transform)
    updates = [
        # A new value that is another variable's memory is copied before anything is committed.
        (variable, value if storage.read(value.viewed) is None else value.copied(value.origin))
        for variable, value in program.updates
    ]
    return replace(program, updates=tuple(updates)), places


def _viewing(node: Node, layouts: dict[Node, Layout]) -> Node:
    """The view; of a copy of its input, where that cannot be viewed so."""
    source = node.inputs[0]
    try:
        layout = node.op.view(_layout(source, layouts), node.spec.sizes)
        if layout is None:
            node = node.with_inputs((source.copied(node.origin), *node.inputs[1:]))
            layout = node.op.view(_layout(node.inputs[0], layouts), node.spec.sizes)
            assert layout is not None
    except GraphError as error:
        raise explained(error, node) from None
    layouts[node] = layout
    return node


def _layout(node: Node, layouts: dict[Node, Layout]) -> Layout:
    return layouts.get(node) or Layout.contiguous(node.spec.sizes)


def _joining(node: Node, places: dict[Node, Place], share: bool) -> Node:
    """The join; of copies of those inputs that have or need memory of their own."""
    shapes = [source.spec.sizes for source in node.inputs]
    parts = node.op.parts(Layout.contiguous(node.spec.sizes), shapes)
    taken: set[Node] = set()
    inputs = []
    for source, part in zip(node.inputs, parts, strict=True):
        is_free = source not in places and source not in taken
        fits = share and source.is_computed and part.is_contiguous and is_free
        inputs.append(source if fits else source.copied(node.origin))
        taken.add(source)
    join = node.with_inputs(tuple(inputs))
    places.update((source, Place(join, number)) for number, source in enumerate(inputs))
    return join
