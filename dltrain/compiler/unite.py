"""Uniting: nodes of one family over the same inputs become one, that gives what each of them does.

So a loop, and the one that keeps what its derivative needs, are one loop. Results are the same bits.
"""

from __future__ import annotations

from collections.abc import Hashable

from dltrain.autodiff.walk import postorder
from dltrain.compiler.ir import Lowered, Node, outputs_of


def unite(program: Lowered) -> Lowered:
    """The program with one node for each family."""
    order = postorder(program.results)
    families: dict[Hashable, list[Node]] = {}
    for node in order:
        if node.op.family is not None:
            families.setdefault((node.op.family, node.inputs), []).append(node)
    family_of = {node: members for members in families.values() if len(members) > 1 for node in members}
    if not family_of:
        return program
    made: dict[Node, list[Node]] = {}  # all outputs of each family's members, as the one that gives them
    new: dict[Node, Node] = {}
    for node in order:
        computing, number = node.value
        if (members := family_of.get(computing)) is None:
            if (changed := node.with_new(new)) is not node:
                new[node] = changed
            continue
        if computing not in made:
            op, places = computing.op.united([member.op for member in members])
            found = {
                place: (member.spec, *member.others)[k]
                for member, numbers in zip(members, places, strict=True)
                for k, place in enumerate(numbers)
            }
            specs, inputs = [found[place] for place in range(len(found))], computing.inputs
            outputs = outputs_of(op, [new.get(x, x) for x in inputs], specs, members[0].origin)
            for member, numbers in zip(members, places, strict=True):
                made[member] = [outputs[place] for place in numbers]
        new[node] = made[computing][number]
    return program.replaced(new)
