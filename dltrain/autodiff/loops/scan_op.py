"""Scan: the op that makes the turns of a loop, and its derivative, a loop over the same graph."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dltrain.autodiff import ops
from dltrain.autodiff.dimensions import Dimension, bound
from dltrain.autodiff.gradients import walk_back
from dltrain.autodiff.graph import Node, Tensor
from dltrain.autodiff.leaves import as_tensor
from dltrain.autodiff.loops.body import Body, carried
from dltrain.autodiff.loops.sums import Sums
from dltrain.autodiff.op import Op
from dltrain.autodiff.spec import Array, Spec
from dltrain.autodiff.walk import nodes_of, postorder
from dltrain.errors import GraphError


@dataclass(frozen=True)
class Scan(Op):
    """Turns of a body. Its inputs are the first states, the sequences, what is captured.

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

    def operations(self, inputs: Sequence[Spec], output: Spec) -> int:
        """Those of a turn, as often as there is one at most."""
        states, elements = len(self.body.states), len(self.body.elements)
        shapes = [spec.sizes for spec in inputs]
        shapes[states : states + elements] = [shape[1:] for shape in shapes[states : states + elements]]
        sizes = _sizes(self.given, shapes)
        length = inputs[states].sizes[0] if elements else bound(self.length, sizes)
        ends = () if self.body.going_on is None else (self.body.going_on,)
        nodes = nodes_of((*self.body.next_states, *self.outputs, *ends), self.given)
        specs = [[tensor.spec.bind(sizes) for tensor in (*node.inputs, node.outputs[0])] for node in nodes]
        if not isinstance(length, int) or not all(spec.is_bound for each in specs for spec in each):
            return 0  # a size is told by a product of names only
        of_nodes = zip(nodes, specs, strict=True)
        return length * sum(node.op.operations(given, out) for node, (*given, out) in of_nodes)

    def compute(self, *inputs: Array, out: Any) -> None:
        """Turn by turn and node by node: what a loop means, slowly."""
        outs = out if isinstance(out, tuple) else (out,)
        states, elements = len(self.body.states), len(self.body.states) + len(self.body.elements)
        values, stacks = list(inputs[:states]), outs[states : states + len(self.outputs)]
        for stack in stacks:
            stack.fill(0)
        known = [len(array) for array in (*inputs[states:elements], *stacks)]
        known += [self.length] if isinstance(self.length, int) else []
        if not known:
            raise GraphError(f"the length {self.length} has no size")
        turns = range(int(inputs[-1]) if self.counted else known[0])
        made = 0
        for turn in reversed(turns) if self.reverse else turns:
            now = [*values, *(array[turn] for array in inputs[states:elements]), *inputs[elements:]]
            given = dict(zip(self.given, now, strict=False))
            if self.body.going_on is not None and not evaluated([self.body.going_on], given)[0]:
                break
            found = evaluated((*self.body.next_states, *self.outputs), given)
            values = found[:states]
            for stack, value in zip(stacks, found[states:], strict=True):
                stack[turn] = value
            made += 1
        for target, value in zip(outs, [*values, *stacks, made], strict=False):
            target[...] = value

    def gradient(self, node: Node, *upstreams: Tensor | None) -> Sequence[Tensor | None]:
        """The turns backwards, over the adjoints of the states (Griewank and Walther 2008, section 3.2).

        What a turn of the derivative reads of its forward turn is kept by a loop with more outputs; the
        compiler makes one loop of it and the first.
        """
        body, states = self.body, len(self.body.states)
        forward = set(body.graph.nodes)
        pairs = zip(body.states, body.next_states, upstreams[:states], strict=True)
        moving = [(state, following, upstream) for state, following, upstream in pairs if state.spec.is_float]
        used = [
            (output, u) for output, u in zip(self.outputs, upstreams[states:], strict=False) if u is not None
        ]
        wrt = [tensor for tensor in self.given if tensor.spec.is_float]
        with body.graph:
            adjoints = [carried(state, "adjoint", body.graph) for state, _, _ in moving]
            carried_upstreams = [carried(output, "upstream", body.graph) for output, _ in used]
            results = [*(following for _, following, _ in moving), *(output for output, _ in used)]
            gradients = walk_back(results, wrt, [*adjoints, *carried_upstreams], body.given)
            found = {x: gradient for x, gradient in zip(wrt, gradients, strict=True) if gradient is not None}
            next_adjoints = [found.get(state, _zeros(state)) for state, _, _ in moving]
            sums = Sums(body)
            for tensor in body.captured:
                if tensor in found:
                    sums.add(tensor, found[tensor])
        of_elements = {tensor: found[tensor] for tensor in body.elements if tensor in found}
        own = {*adjoints, *carried_upstreams, *sums.states}
        computed = [
            x for x in (*of_elements.values(), *sums.factors) if not self._is_forward(x, forward, own)
        ]
        read = self._read([*next_adjoints, *sums.next_states, *computed], forward, own)
        kept = [tensor for tensor in (*read, *sums.factors) if tensor not in (*body.elements, *body.captured)]
        kept = [tensor for tensor in kept if self._is_forward(tensor, forward, own)]

        extended = replace(self, outputs=tuple(dict.fromkeys((*self.outputs, *kept))))
        whole = extended.apply(*node.inputs, name=_last_part(node.name))
        known = dict(zip(extended.outputs, whole[states:], strict=False))  # may be given ones, too
        known |= dict(zip((*body.elements, *body.captured), node.inputs[states:], strict=False))
        known |= {x: u for x, (_, u) in zip(carried_upstreams, used, strict=True)}
        backward = Body(
            body.graph,
            states=(*adjoints, *sums.states),
            elements=(*carried_upstreams, *(tensor for tensor in read if tensor not in body.captured)),
            captured=tuple(tensor for tensor in read if tensor in body.captured),
            next_states=(*next_adjoints, *sums.next_states),
        )
        ends = body.going_on is not None
        counts = [whole[-1]] if ends else [node.inputs[-1]] if self.counted else []
        op = Scan(backward, tuple(dict.fromkeys(computed)), self.length, not self.reverse, bool(counts))
        first = [_zeros(state) if upstream is None else upstream for state, _, upstream in moving]
        first += [_zeros(state) for state in sums.states]
        values = op.apply(*first, *(known[x] for x in (*backward.elements, *backward.captured)), *counts)
        last = dict(zip(backward.states, values, strict=False))
        known |= dict(zip(op.outputs, values[len(backward.states) :], strict=False))
        whole_gradient = {
            state: last[adjoint] for (state, _, _), adjoint in zip(moving, adjoints, strict=True)
        }
        whole_gradient |= {tensor: known[gradient] for tensor, gradient in of_elements.items()}
        whole_gradient |= sums.totals(last, known)
        return [*(whole_gradient.get(tensor) for tensor in self.given), *([None] if self.counted else [])]

    @property
    def family(self) -> Hashable:
        return self.body, self.length, self.reverse, self.counted

    def united(
        self, members: Sequence[tuple[Scan, Collection[int]]]
    ) -> tuple[Scan, dict[tuple[int, int], int]]:
        states = len(self.body.states)
        read = [
            op.outputs[k - states]
            for op, numbers in members
            for k in numbers
            if 0 <= k - states < len(op.outputs)
        ]
        outputs = tuple(dict.fromkeys(read))
        places: dict[tuple[int, int], int] = {}
        for member, (op, _) in enumerate(members):
            places |= {(member, k): k for k in range(states)}
            pairs = enumerate(op.outputs, states)
            places |= {
                (member, k): states + outputs.index(tensor) for k, tensor in pairs if tensor in outputs
            }
            if self.body.going_on is not None:
                places[member, states + len(op.outputs)] = states + len(outputs)
        return replace(self, outputs=outputs), places

    def _is_forward(self, tensor: Tensor, forward: set[Node], own: set[Tensor]) -> bool:
        return tensor in self.body.given or (tensor.node in forward and tensor not in own)

    def _read(self, results: Sequence[Tensor], forward: set[Node], own: set[Tensor]) -> dict[Tensor, None]:
        """What turns of the derivative read of their forward turns; the rest is made again.

        That is what costs no memory or no time: views, and what depends on captured tensors only.
        """
        given = self.body.given
        varying = self.body.dependent(results, (*self.body.states, *self.body.elements))

        def is_read(tensor: Tensor) -> bool:
            is_kept = tensor.node in forward and tensor in varying and not tensor.op.is_view
            return tensor in given or (is_kept and not self.recomputes)

        computing = postorder(
            [tensor.node for tensor in results if not is_read(tensor)],
            lambda node: [tensor.node for tensor in node.inputs if not is_read(tensor)],
        )
        tensors = (*results, *(tensor for node in computing for tensor in node.inputs))
        return {tensor: None for tensor in tensors if is_read(tensor)}


def _zeros(like: Tensor) -> Tensor:
    zero = as_tensor(0.0, like.dtype)
    return ops.broadcast_to(zero, like.shape) if like.shape else zero


def _last_part(name: str) -> str:
    return name.rpartition("/")[-1]


def _sizes(tensors: Iterable[Tensor], shapes: Iterable[Sequence[int]]) -> dict[str, int]:
    """Of the named dimensions of tensors with these shapes."""
    pairs = [zip(tensor.shape, shape, strict=True) for tensor, shape in zip(tensors, shapes, strict=False)]
    return {name: size for pair in pairs for name, size in pair if isinstance(name, str)}


def evaluated(results: Sequence[Tensor], given: Mapping[Tensor, Array]) -> list[Array]:
    """The results' values from those of given tensors, each node by its op's own kernel."""
    sizes = _sizes(given, [array.shape for array in given.values()])
    values = dict(given)
    for node in nodes_of(results, given):
        specs = [output.spec.bind(sizes) for output in node.outputs]
        out = tuple([np.empty(spec.sizes, spec.dtype) for spec in specs])
        with np.errstate(all="ignore"):
            inputs = [np.asarray(values[tensor]) for tensor in node.inputs]
            node.op.compute(*inputs, out=out if len(out) > 1 else out[0])
        for output, array in zip(node.outputs, out, strict=True):
            values.setdefault(output, array)
    return [values[tensor] for tensor in results]
