"""Scan: the op that makes the turns of a loop."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dltrain.autodiff.dimensions import bound
from dltrain.autodiff.graph import Node, Tensor
from dltrain.autodiff.loops.body import Body, Repeated
from dltrain.autodiff.loops.derivative import derivative
from dltrain.autodiff.spec import Array, Spec
from dltrain.autodiff.walk import frontier, nodes_of
from dltrain.errors import GraphError


@dataclass(frozen=True)
class Scan(Repeated):
    """The turns of a body."""

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
        return derivative(self, node, upstreams)

    def overwritten(self, output: int) -> Collection[int]:
        """Of a stack those of elements, which each turn reads before it gives anything, at the same place.

        There must be a turn for each of them: the others' results are zero.
        """
        states = len(self.body.states)
        is_stack = states <= output < states + len(self.outputs)
        all_made = self.body.going_on is None and not self.counted
        return range(states, states + len(self.body.elements)) if is_stack and all_made else ()

    @property
    def family(self) -> Hashable:
        return self.body, self.length, self.reverse, self.counted

    def united(self, members: Sequence[Scan]) -> tuple[Scan, Sequence[Sequence[int]]]:
        states, outputs = len(self.body.states), dict.fromkeys(x for op in members for x in op.outputs)
        number = {output: k for k, output in enumerate(outputs, states)}
        count = [] if self.body.going_on is None else [states + len(outputs)]
        places = [[*range(states), *(number[output] for output in op.outputs), *count] for op in members]
        return replace(self, outputs=tuple(outputs)), places

    def pruned(self, read: Collection[int]) -> tuple[Scan, Sequence[int], Sequence[int]]:
        body, states = self.body, len(self.body.states)
        outputs = {k: x for k, x in enumerate(self.outputs, states) if k in read}
        condition = [] if body.going_on is None else [body.going_on]
        following = dict(zip(body.states, body.next_states, strict=True))
        needed = {x for k, x in enumerate(body.states) if k in read}
        found: set[Tensor] | None = None
        while needed != found:
            found = needed
            results = [*(following[x] for x in following if x in found), *outputs.values(), *condition]
            needed = found | set(frontier(results, body.given))
        inputs = [k for k, x in enumerate(self.given) if x in needed]
        kept = [k for k in inputs if k < states]
        part = Body(
            body.graph,
            states=tuple([body.states[k] for k in kept]),
            elements=tuple([x for x in body.elements if x in needed]),
            captured=tuple([x for x in body.captured if x in needed]),
            next_states=tuple([body.next_states[k] for k in kept]),
            going_on=body.going_on,
        )
        op = replace(self, body=part, outputs=tuple(outputs.values()))
        count = [len(self.given)] if self.counted else []
        made = [states + len(self.outputs)] if condition else []
        return op, [*inputs, *count], [*kept, *outputs, *made]


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
