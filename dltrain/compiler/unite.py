"""Uniting: nodes of one family over the same inputs become one, that gives only what is read.

So a loop, and the one that keeps what its derivative needs, are one loop. Results are the same bits.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from dltrain.autodiff.walk import postorder
from dltrain.compiler.ir import Lowered, Node, Output


def unite(program: Lowered) -> Lowered:
    """The program with one node for each family."""
    order = postorder(program.results)
    families: dict[Hashable, list[Node]] = {}
    for node in order:
        if node.op.family is not None:
            families.setdefault((node.op.family, node.inputs), []).append(node)
    if not families:
        return program
    read = set(_read(program, order))
    family_of = {node: members for members in families.values() for node in members}
    united: dict[Node, list[Node]] = {}  # the outputs, by the family's first member
    new: dict[Node, Node] = {}
    for node in order:
        computing, number = _value(node)
        if (members := family_of.get(computing)) is None:
            if (made := node.with_new(new)) is not node:
                new[node] = made
            continue
        wanted = [
            (member.op, [k for k in range(1 + len(member.others)) if (member, k) in read])
            for member in members
        ]
        op, places = computing.op.united(wanted)
        if members[0] not in united:
            specs = {
                place: (members[which].spec, *members[which].others)[k]
                for (which, k), place in places.items()
            }
            first, *others = [specs[place] for place in range(len(specs))]
            whole = Node(
                op,
                tuple([new.get(source, source) for source in node.inputs]),
                first,
                node.origin,
                tuple(others),
            )
            outputs = [Node(Output(k), (whole,), spec, node.origin) for k, spec in enumerate(others, 1)]
            united[members[0]] = [whole, *outputs]
        place = places.get((members.index(computing), number))
        if place is not None:
            new[node] = united[members[0]][place]
    return program.replaced(new)


def _value(node: Node) -> tuple[Node, int]:
    """What computes it, and which output of that it is."""
    return (node.inputs[0], node.op.number) if isinstance(node.op, Output) else (node, 0)


def _read(program: Lowered, order: list[Node]) -> Iterator[tuple[Node, int]]:
    for result in program.results:
        yield _value(result)
    for node in order:
        if not isinstance(node.op, Output):
            yield from map(_value, node.inputs)
