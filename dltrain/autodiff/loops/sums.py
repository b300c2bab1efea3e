"""Sums over turns: the gradient of what a loop captures, added up in the loop or by one product after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.loops.body import Body, carried
from dltrain.autodiff.ops.arithmetic import Add
from dltrain.autodiff.ops.matmul import Matmul


@dataclass
class Sums:
    """For each tensor, the sum of a term over all turns.

    A turn's a^T b is not computed: a and b of all turns are kept, and multiplied once, over turns and rows
    (Appleyard, Kocisky and Blunsom 2016, section 3.2).

    Attributes:
        states, next_states: of sums that the turns add up.
        factors: what must be known of all turns.
    """

    body: Body
    states: list[Tensor] = field(default_factory=list)
    next_states: list[Tensor] = field(default_factory=list)
    factors: dict[Tensor, None] = field(default_factory=dict)
    _added: dict[Tensor, Tensor] = field(default_factory=dict)
    _products: dict[Tensor, list[tuple[Tensor, Tensor]]] = field(default_factory=dict)

    def add(self, tensor: Tensor, term: Tensor) -> None:
        """The sum of `term`, of the body's graph, is what `tensor` is to have."""
        rest: list[Tensor] = []
        for addend in _addends(term):
            if _is_product_of_rows(addend, self.body.captured):
                a, b = addend.inputs
                self.factors |= {a: None, b: None}
                self._products.setdefault(tensor, []).append((a, b))
            else:
                rest.append(addend)
        if rest:
            state = carried(tensor, "sum", self.body.graph)
            self.states.append(state)
            self.next_states.append(sum(rest, state))
            self._added[tensor] = state

    def totals(self, last: Mapping[Tensor, Tensor], stacked: Mapping[Tensor, Tensor]) -> dict[Tensor, Tensor]:
        """The sums, as tensors of the outer graph.

        Arguments:
            last: the states after the loop.
            stacked: the factors of all turns, `(turns, rows, columns)`.
        """
        found = {tensor: last[state] for tensor, state in self._added.items()}
        for tensor, pairs in self._products.items():
            for a, b in pairs:
                left, right = (ops.reshape(stacked[x], (-1, x.shape[1])) for x in (a, b))
                product = ops.matmul(left, right, transpose_a=True)
                found[tensor] = found[tensor] + product if tensor in found else product
        return found


def _addends(term: Tensor) -> Iterable[Tensor]:
    if isinstance(term.op, Add) and all(tensor.spec == term.spec for tensor in term.inputs):
        return [addend for tensor in term.inputs for addend in _addends(tensor)]
    return [term]


def _is_product_of_rows(term: Tensor, captured: Iterable[Tensor]) -> bool:
    """Whether it is a^T b, of matrices that may differ from turn to turn."""
    return term.op == Matmul(True, False) and all(x.spec.rank == 2 and x not in captured for x in term.inputs)
