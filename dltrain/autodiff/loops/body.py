"""Body: what a loop computes in each turn, as tensors of a graph within its own; and an op that has one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dltrain.autodiff.dimensions import Dimension
from dltrain.autodiff.graph import Graph, Node, Tensor
from dltrain.autodiff.op import Op
from dltrain.autodiff.spec import Spec
from dltrain.autodiff.walk import nodes_of


class Carried(Op):
    """What each turn of a loop is given: a state, an element of a sequence, the gradient of a result."""

    is_leaf = True


def carried(like: Tensor, name: str, graph: Graph) -> Tensor:
    """A tensor of a body's graph that each turn gives a value, with the spec of another one."""
    return Node(Carried(), (), name, graph, (like.spec,)).output


@dataclass(frozen=True, eq=False)
class Body:
    """A turn of a loop: from states and the elements of sequences to the next states.

    What is given may be any tensor of the body's graph, not only one made by `carried`: it is then taken in
    place of its own value. So the derivative of a body, and a body of which a part is computed before the
    loop, are bodies over the same graph.

    Attributes:
        graph: the body's.
        states: given; the values that turns hand on.
        elements: given; of the sequences, one for each turn.
        captured: given; the same in all turns.
        next_states: what the turn makes of the states, of their specs.
        going_on: bool scalar: whether the turn is made; None: always.
    """

    graph: Graph
    states: tuple[Tensor, ...]
    elements: tuple[Tensor, ...]
    captured: tuple[Tensor, ...]
    next_states: tuple[Tensor, ...]
    going_on: Tensor | None = None

    @property
    def given(self) -> dict[Tensor, None]:
        """All that is given, in order."""
        return dict.fromkeys((*self.states, *self.elements, *self.captured))

    def dependent(self, results: Iterable[Tensor], on: Iterable[Tensor]) -> set[Tensor]:
        """Which tensors on the way to the results are computed from some of them, these included."""
        given = self.given
        found = set(on)
        for node in nodes_of(results, given):
            if not found.isdisjoint(node.inputs):
                found.update(output for output in node.outputs if output not in given)
        return found


@dataclass(frozen=True)
class Repeated(Op, abstract=True):
    """A body, turn after turn. Its inputs are the first states, the sequences, what is captured.

    Its outputs are the last states, then each of `outputs` of all turns along a new first axis (0 where no
    turn was made), and, of a body that says whether it goes on, how many turns were made.

    Attributes:
        outputs: tensors of the body's graph.
        length: the number of turns; the most of them, where the body ends it.
        reverse: whether the last element is the first turn's.
        counted: whether the last input says how many turns are made, of the first elements.
        recomputes: whether the derivative computes turns again from their states, in place of keeping values.
    """

    body: Body
    outputs: tuple[Tensor, ...]
    length: Dimension
    reverse: bool = False
    counted: bool = False
    recomputes: bool = False

    @property
    def given(self) -> tuple[Tensor, ...]:
        """What each input is in the body; the count is not there."""
        return (*self.body.states, *self.body.elements, *self.body.captured)

    def infer(self, *inputs: Spec) -> tuple[Spec, ...]:
        stacks = [output.spec.with_shape((self.length, *output.shape)) for output in self.outputs]
        count = [] if self.body.going_on is None else [Spec((), np.dtype(np.int64))]
        return (*(state.spec for state in self.body.states), *stacks, *count)
