"""Kept: the values of its turns that a loop keeps for its derivative, in few stacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Node, Tensor
from dltrain.autodiff.loops.body import Repeated
from dltrain.autodiff.spec import Spec
from dltrain.autodiff.substitution import substituted
from dltrain.autodiff.walk import frontier, nodes_of


@dataclass(frozen=True)
class Kept:
    """What turns of a derivative read of their forward turns, and a loop that gives it besides.

    - What costs no memory or little time is made again: views, what depends on captured tensors only, what is
      elementwise in values that are there anyway.
    - A state is that after the turn before, so that the states before and after all turns are one stack.
    - Others of one spec are joined, so that these are one stack, in whose memory a result may lie.

    Attributes:
        loop: the forward loop.
        read: what a turn of the derivative is given of its forward turn.
        parts: what it takes from the joined ones.
        after: for states, what turns make of them, from which they are known.
    """

    loop: Repeated
    read: tuple[Tensor, ...]
    parts: dict[Tensor, Tensor]
    after: dict[Tensor, Tensor]

    @classmethod
    def of(
        cls, loop: Repeated, forward: set[Node], results: Sequence[Tensor], factors: Sequence[Tensor]
    ) -> Kept:
        """
        Arguments:
            forward: the nodes of forward turns.
            results: of a turn of the derivative.
            factors: of forward turns, read after the loop.
        """
        body = loop.body
        after = dict(zip(body.states, body.next_states, strict=True)) if _has_places(loop) else {}
        read = _read(loop, forward, results, after)
        alone = {*loop.given, *loop.outputs, *after.values(), *factors}
        joined, parts = _joined([x for x in read if x not in alone])
        read = [*(x for x in read if x not in parts), *joined]
        needed = [x for x in (*read, *factors) if x not in (*body.elements, *body.captured)]
        outputs = (*loop.outputs, *(after.get(x, x) for x in needed))
        whole = replace(loop, outputs=tuple(dict.fromkeys(outputs)))
        return cls(whole, tuple(read), parts, {x: after[x] for x in needed if x in after})

    def stacks(self, inputs: Sequence[Tensor], values: Sequence[Tensor]) -> dict[Tensor, Tensor]:
        """What is known of all turns, as tensors of the outer graph.

        Arguments:
            inputs, values: what the loop is given and what it gives.
        """
        loop, states = self.loop, len(self.loop.body.states)
        stacks = dict(zip(loop.outputs, values[states:], strict=False))
        known = {**stacks, **dict(zip(loop.given[states:], inputs[states:], strict=False))}
        firsts = dict(zip(loop.body.states, inputs, strict=False))
        for state, after in self.after.items():
            known[state] = _shifted(ops.expand_dims(firsts[state], 0), stacks[after], loop.reverse)
        return known

    def made(self, results: Sequence[Tensor]) -> list[Tensor]:
        """The results, made of what is read."""
        return substituted(results, {**{x: x for x in self.read}, **self.parts})


def _has_places(loop: Repeated) -> bool:
    """Whether it is known where in a stack the first turn's values lie, and how long one with one more is."""
    return isinstance(loop.length, int) and not (loop.counted and loop.reverse)


def _shifted(first: Tensor, stack: Tensor, reverse: bool) -> Tensor:
    """Of each turn the value that the turn before has in the stack; `first` of the first."""
    return ops.concat([stack, first])[1:] if reverse else ops.concat([first, stack])[:-1]


def _joined(tensors: Sequence[Tensor]) -> tuple[list[Tensor], dict[Tensor, Tensor]]:
    """One tensor for several of a spec, along the first axis that has a size; and their parts of it."""
    joined: list[Tensor] = []
    parts: dict[Tensor, Tensor] = {}
    by_spec: dict[Spec, list[Tensor]] = {}
    for tensor in tensors:
        by_spec.setdefault(tensor.spec, []).append(tensor)
    for spec, members in by_spec.items():
        sized = [(axis, size) for axis, size in enumerate(spec.shape) if isinstance(size, int)]
        if sized and len(members) > 1:
            axis, size = sized[0]
            with members[0].graph:
                joined.append(whole := ops.concat(members, axis))
                for number, member in enumerate(members):
                    key = (*[slice(None)] * axis, slice(number * size, (number + 1) * size))
                    parts[member] = whole[key]
    return joined, parts


def _read(
    loop: Repeated, forward: set[Node], results: Sequence[Tensor], after: dict[Tensor, Tensor]
) -> list[Tensor]:
    """What the results are to be computed from, of the forward turn."""
    body, given = loop.body, loop.body.given
    if loop.recomputes:
        return frontier(results, given)
    varying = body.dependent(results, (*body.states, *body.elements))
    values = [x for x in varying if x.node in forward and not x.op.is_view]
    read = frontier(results, {*given, *values})
    there = {*loop.outputs, *(after[x] for x in read if x in after)} & varying
    at_hand = {*there, *(x for x in read if x in given)}
    for node in nodes_of(read, given):
        again = node.op.is_elementwise or node.op.is_view
        if again and all(x in at_hand or x not in varying for x in node.inputs):
            at_hand.update(node.outputs)
        else:
            kept = [x for x in node.outputs if x in read and x not in given]
            at_hand.update(kept)
            there.update(kept)
    return frontier(results, {*given, *there})
