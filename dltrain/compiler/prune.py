"""Pruning: what only serves outputs that nobody reads is left out, also within a loop.

So it adds up no gradient that was not asked for. Results are the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

from dltrain.autodiff.op import Op
from dltrain.autodiff.walk import postorder
from dltrain.compiler.ir import Lowered, Node, outputs_of


def prune(program: Lowered) -> Lowered:
    """The program without it."""
    order = postorder(program.results)
    if all(node.op.family is None for node in order):
        return program
    read: dict[Node, set[int]] = {}  # of what is computed, the numbers of the outputs that are read
    kept: dict[Node, tuple[Op, Sequence[int], Sequence[int]]] = {}
    for result in program.results:
        _note(result, read)
    for node in reversed(order):
        if node in read:
            numbers: Sequence[int] = range(len(node.inputs))
            if node.op.family is not None:
                kept[node] = _, numbers, _ = node.op.pruned(read[node])
            for number in numbers:
                _note(node.inputs[number], read)
    new: dict[Node, Node] = {}
    made: dict[Node, dict[int, Node]] = {}
    for node in order:
        computing, number = node.value
        if computing not in kept:
            if (changed := node.with_new(new)) is not node:
                new[node] = changed
            continue
        if computing not in made:
            op, inputs, numbers = kept[computing]
            sources = [computing.inputs[k] for k in inputs]
            specs = [(computing.spec, *computing.others)[k] for k in numbers]
            outputs = outputs_of(op, [new.get(x, x) for x in sources], specs, computing.origin)
            made[computing] = dict(zip(numbers, outputs, strict=True))
        if number in made[computing]:
            new[node] = made[computing][number]
    return program.replaced(new)


def _note(node: Node, read: dict[Node, set[int]]) -> None:
    computing, number = node.value
    read.setdefault(computing, set()).add(number)
