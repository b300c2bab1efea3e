"""The derivative of a loop: its turns backwards, as a loop over the same graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dltrain.autodiff import ops
from dltrain.autodiff.gradients import walk_back
from dltrain.autodiff.graph import Node, Tensor
from dltrain.autodiff.leaves import as_tensor
from dltrain.autodiff.loops.body import Body, Repeated, carried
from dltrain.autodiff.loops.kept import Kept
from dltrain.autodiff.loops.sink import sunk
from dltrain.autodiff.loops.sums import Sums


def derivative(loop: Repeated, node: Node, upstreams: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The gradient of each input of the loop: reverse accumulation over the adjoints of its states.

    (Griewank and Walther 2008, section 3.2.) What a turn reads of its forward turn is kept by a forward loop
    with more outputs than this one; the compiler makes one loop of the two.
    """
    body = loop.body
    forward = set(body.graph.nodes)
    turn = _Turn.backwards(loop, node, upstreams)
    following, computed = [*turn.next_states], [x for x in turn.computed if x.node not in forward]
    factors = [x for x in turn.sums.factors if x.node in forward]
    kept = Kept.of(loop, forward, [*following, *computed], factors)
    values = kept.loop.apply(*node.inputs, name=node.name.rpartition("/")[-1])
    known = {**turn.upstreams, **turn.same, **kept.stacks(node.inputs, values)}
    made = kept.made([*following, *computed])
    backward = Body(
        body.graph,
        states=turn.states,
        elements=(*turn.upstreams, *(x for x in kept.read if x not in body.captured)),
        captured=(*turn.same, *(x for x in kept.read if x in body.captured)),
        next_states=tuple(made[: len(following)]),
    )
    counts = [values[-1]] if body.going_on is not None else [node.inputs[-1]] if loop.counted else []
    outputs = dict(zip(computed, made[len(following) :], strict=True))
    op = replace(
        loop,
        body=backward,
        outputs=tuple(dict.fromkeys(outputs.values())),
        reverse=not loop.reverse,
        counted=bool(counts),
        recomputes=False,
    )
    given = [known[x] for x in (*backward.elements, *backward.captured)]
    results = op.apply(*turn.first, *given, *counts)
    last = dict(zip(turn.states, results, strict=False))
    stacked = dict(zip(op.outputs, results[len(turn.states) :], strict=True))
    known |= {x: stacked[output] for x, output in outputs.items()}
    found = {state: last[adjoint] for state, adjoint in turn.adjoints.items()}
    found |= {element: known[gradient] for element, gradient in turn.of_elements.items()}
    found |= turn.sums.totals(last, known)
    return [*(found.get(x) for x in loop.given), *([None] if loop.counted else [])]


@dataclass(frozen=True)
class _Turn:
    """One turn backwards: from the adjoints of the states after the forward turn to those before it.

    Attributes:
        adjoints: of the float states, given.
        next_adjoints: what the turn makes of them.
        first: the adjoints after the last forward turn, and zeros for the sums; tensors of the outer graph.
        upstreams: gradients of the loop's outputs, given; with those of all turns.
        same: what the others are computed from, given; with what it is outside.
        of_elements: the gradients of elements.
        sums: the gradients of what is captured.
    """

    adjoints: dict[Tensor, Tensor]
    next_adjoints: list[Tensor]
    first: list[Tensor]
    upstreams: dict[Tensor, Tensor]
    same: dict[Tensor, Tensor]
    of_elements: dict[Tensor, Tensor]
    sums: Sums

    @classmethod
    def backwards(cls, loop: Repeated, node: Node, upstreams: Sequence[Tensor | None]) -> _Turn:
        """
        Arguments:
            node: of the loop.
            upstreams: of what it gives.
        """
        body, states = loop.body, len(loop.body.states)
        pairs = zip(body.states, body.next_states, upstreams, strict=False)
        moving = [(state, following, u) for state, following, u in pairs if state.spec.is_float]
        weighed = [(x, u) for x, u in zip(loop.outputs, upstreams[states:], strict=False) if u is not None]
        with body.graph:
            adjoints = {state: carried(state, "adjoint", body.graph) for state, _, _ in moving}
            weights: list[Tensor] = []
            given: dict[Tensor, Tensor] = {}
            same: dict[Tensor, Tensor] = {}
            stacks = dict(zip(node.outputs[states:], loop.outputs, strict=False))
            for output, u in weighed:
                if (inside := sunk(u, stacks, body.graph)) is not None:
                    weights.append(inside[0])
                    same |= inside[1]
                else:
                    weights.append(carried(output, "upstream", body.graph))
                    given[weights[-1]] = u
            results = [*(following for _, following, _ in moving), *(output for output, _ in weighed)]
            wrt = [x for x in loop.given if x.spec.is_float]
            gradients = walk_back(results, wrt, [*adjoints.values(), *weights], body.given)
            found = {x: gradient for x, gradient in zip(wrt, gradients, strict=True) if gradient is not None}
            next_adjoints = [found.get(state, _zeros(state)) for state in adjoints]
            sums = Sums(body)
            for x in body.captured:
                if x in found:
                    sums.add(x, found[x])
        first = [_zeros(state) if u is None else u for state, _, u in moving]
        return cls(
            adjoints,
            next_adjoints,
            [*first, *map(_zeros, sums.states)],
            given,
            same,
            {x: found[x] for x in body.elements if x in found},
            sums,
        )

    @property
    def states(self) -> tuple[Tensor, ...]:
        return (*self.adjoints.values(), *self.sums.states)

    @property
    def next_states(self) -> tuple[Tensor, ...]:
        return (*self.next_adjoints, *self.sums.next_states)

    @property
    def computed(self) -> list[Tensor]:
        """What is needed of all turns, and may be given or of the forward turns."""
        return [*self.of_elements.values(), *self.sums.factors]


def _zeros(like: Tensor) -> Tensor:
    zero = as_tensor(0.0, like.dtype)
    return ops.broadcast_to(zero, like.shape) if like.shape else zero
