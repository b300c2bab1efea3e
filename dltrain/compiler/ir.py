"""The compiler's own nodes: a graph with all sizes bound, which the passes rewrite.

The user's tensors stay as they are; each node remembers the tensor that it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dltrain.autodiff.graph import Node as GraphNode
from dltrain.autodiff.graph import ReadVariable, Tensor, Variable
from dltrain.autodiff.leaves import Placeholder
from dltrain.autodiff.op import Op
from dltrain.autodiff.program import Program
from dltrain.autodiff.properties import Properties
from dltrain.autodiff.spec import Array, Spec
from dltrain.autodiff.walk import postorder
from dltrain.errors import GraphError


@dataclass(eq=False, slots=True)  # not frozen: that takes three times as long to make
class Node:
    """An op applied to nodes; as a value it is the op's first output, the others are `Output`s of it.

    Attributes:
        spec: of the first output; with sizes only.
        origin: the tensor that it comes from.
        others: specs of the other outputs.
    """

    op: Properties
    inputs: tuple[Node, ...]
    spec: Spec
    origin: Tensor
    others: tuple[Spec, ...] = ()

    @property
    def is_leaf(self) -> bool:
        return self.op.is_leaf

    @property
    def is_computed(self) -> bool:
        """Whether there is a kernel to be called for it."""
        return not (self.op.is_leaf or self.op.is_view or self.op.is_join)

    @property
    def variable(self) -> Tensor | None:
        """The variable whose value it is; None if it is anything else."""
        return self.origin if isinstance(self.op, ReadVariable) else None

    @property
    def viewed(self) -> Node:
        """What the node is a view of."""
        node = self
        while node.op.is_view:
            node = node.inputs[0]
        return node

    @property
    def value(self) -> tuple[Node, int]:
        """What computes it, and which output of that it is."""
        return (self.inputs[0], self.op.number) if isinstance(self.op, Output) else (self, 0)

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        if inputs == self.inputs:
            return self
        return Node(self.op, inputs, self.spec, self.origin, self.others)

    def with_new(self, new: Mapping[Node, Node]) -> Node:
        """With the new nodes in place of those inputs that have one."""
        for source in self.inputs:
            if source in new:
                return self.with_inputs(tuple([new.get(source, source) for source in self.inputs]))
        return self

    def replaced(self, op: Op, *inputs: Node) -> Node:
        """What is computed in its place, or for that: another op, applied to other nodes."""
        spec = op.infer(*(source.spec for source in inputs))
        assert isinstance(spec, Spec)
        return Node(op, inputs, spec, self.origin)

    def copied(self, origin: Tensor) -> Node:
        """Its numbers in other memory; that is said to come from `origin`."""
        return Node(Copy(), (self,), self.spec, origin)


@dataclass(frozen=True)
class Output(Op, abstract=True):
    """The output with this number, from 1, of its only input; computed together with that."""

    number: int


def outputs_of(op: Op, inputs: Sequence[Node], specs: Sequence[Spec], origin: Tensor) -> list[Node]:
    """The op applied to nodes: all its outputs, of these specs."""
    first, *others = specs
    node = Node(op, tuple(inputs), first, origin, tuple(others))
    return [node, *(Node(Output(number), (node,), spec, origin) for number, spec in enumerate(others, 1))]


class Copy(Op, abstract=True):
    """Its input, in memory of its own."""

    is_elementwise = True
    in_place = True

    def expression(self) -> str:
        return "{0}"

    def compute(self, x: Array, *, out: Array) -> None:
        np.copyto(out, x)


Update = tuple[Variable, Node]


@dataclass(frozen=True)
class Lowered:
    """A `Program` of nodes.

    Attributes:
        inputs: placeholders, one for each tensor that the run is given.
        fetches: what the run returns.
        updates: variables with their new values.
        guards: what must be finite, with the tensors that say so.
    """

    inputs: tuple[Node, ...]
    fetches: tuple[Node, ...]
    updates: tuple[Update, ...]
    guards: tuple[tuple[Tensor, Node], ...]

    @property
    def results(self) -> list[Node]:
        """All that the run has to compute; a node may stand there more than once."""
        return [*self.fetches, *self.guarded, *(value for _, value in self.updates)]

    @property
    def guarded(self) -> list[Node]:
        """What must be finite."""
        return [node for _, node in self.guards]

    def rebuilt(self, transform: Callable[[Node], Node]) -> Lowered:
        """With `transform` applied to every node after it was applied to the node's inputs."""
        new: dict[Node, Node] = {}
        for node in postorder(self.results):
            made = transform(node.with_new(new))
            if made is not node:
                new[node] = made
        return self.replaced(new)

    def replaced(self, new: Mapping[Node, Node]) -> Lowered:
        """With the new nodes in place of those results that have one."""
        return replace(
            self,
            fetches=tuple([new.get(node, node) for node in self.fetches]),
            updates=tuple([(variable, new.get(value, value)) for variable, value in self.updates]),
            guards=tuple([(tensor, new.get(node, node)) for tensor, node in self.guards]),
        )


def lower(program: Program, sizes: Mapping[str, int]) -> Lowered:
    """The program as nodes; all else of its graph is left out (dead-code elimination).

    Arguments:
        sizes: of the named dimensions.

    Raises:
        GraphError: a placeholder is needed but not fed, or a named dimension has no size.
    """
    updates = program.updates
    guards = (*program.guards, *updates.guards)
    nodes: dict[Tensor, Node] = {}
    first: dict[GraphNode, Node] = {}  # what computes each of the graph's nodes
    fed, substitutes = set(program.inputs), dict(program.substitutions)
    needed = [*program.fetches, *(value for _, value in updates.pairs), *guards, *program.inputs]

    def sources(tensor: Tensor) -> Sequence[Tensor]:
        if tensor in fed:
            return ()
        return (substitutes[tensor],) if tensor in substitutes else tensor.inputs

    for tensor in postorder(needed, sources):
        if tensor in fed:
            spec = _bound(tensor, sizes)
            nodes[tensor] = Node(Placeholder(spec), (), spec, tensor)
            continue
        if tensor in substitutes:
            nodes[tensor] = nodes[substitutes[tensor]]
            continue
        if tensor.node not in first:
            first[tensor.node] = _lowered(tensor.node, nodes, sizes)
        nodes[tensor] = computing = first[tensor.node]
        if tensor.index:
            spec = computing.others[tensor.index - 1]
            nodes[tensor] = Node(Output(tensor.index), (computing,), spec, tensor)
    return Lowered(
        inputs=tuple(nodes[tensor] for tensor in program.inputs),
        fetches=tuple(nodes[tensor] for tensor in program.fetches),
        updates=tuple((variable, nodes[value]) for variable, value in updates.pairs),
        guards=tuple((tensor, nodes[tensor]) for tensor in guards),
    )


def _bound(tensor: Tensor, sizes: Mapping[str, int]) -> Spec:
    spec = tensor.spec.bind(sizes)
    if not spec.is_bound:
        raise GraphError(
            f"dimension {spec.names[0]!r} of {tensor.name} {tensor.spec} has no size",
            where=tensor.source,
            fix="feed a placeholder that has this dimension",
        )
    return spec


def _lowered(node: GraphNode, nodes: Mapping[Tensor, Node], sizes: Mapping[str, int]) -> Node:
    tensor = node.outputs[0]
    if isinstance(node.op, Placeholder):
        raise GraphError(
            f"placeholder {tensor.name!r} {tensor.spec} is needed but not fed",
            where=tensor.source,
            fix="give it a value in feed_dict",
        )
    inputs = tuple([nodes[source] for source in node.inputs])
    others = tuple([_bound(output, sizes) for output in node.outputs[1:]])
    return Node(node.op, inputs, _bound(tensor, sizes), tensor, others)


class KernelError(Exception):
    """What went wrong in the kernel of one node among several."""

    def __init__(self, node: Node, error: GraphError) -> None:
        self.node, self.error = node, error
        super().__init__(str(error))


def explained(error: Exception, node: Node) -> GraphError:
    """The error of a kernel with the op, its inputs and the place that made the node."""
    inputs = ", ".join(f"{source.origin.name} {source.spec}" for source in node.inputs)
    fix = error.fix if isinstance(error, GraphError) else ""
    why = error.what if isinstance(error, GraphError) else f"{type(error).__name__}: {error}"
    return GraphError(f"{node.op.label}({inputs})", where=node.origin.source, why=why, fix=fix)
