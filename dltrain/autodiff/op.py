"""Op: what is applied to tensors, and so makes nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar

from dltrain.autodiff.graph import Graph, Node, Tensor, default_graph
from dltrain.autodiff.properties import Properties
from dltrain.autodiff.spec import Spec
from dltrain.errors import GraphError

_OF_THE_KERNEL = {"compute", "ufunc", "workspace", "formula", "expression", "combine"}


@dataclass(frozen=True)
class Op(Properties):
    """What computes a node: attributes (the dataclass' fields), shape rule, kernel, gradient, `Properties`.

    A subclass with attributes is itself a frozen dataclass, so that equal ops compare equal. It is used
    by calling it with the inputs: `Sigmoid()(x)` adds a node to the graph.
    """

    registry: ClassVar[dict[str, type[Op]]] = {}

    def __init_subclass__(cls, abstract: bool = False, **arguments: Any) -> None:
        """Register the class by its name, unless it is `abstract` (only a base for others).

        What stands for the kernel of a base, as its C does, does not stand for the class' own.
        """
        super().__init_subclass__(**arguments)
        own = vars(cls).keys()
        if own & {"compute", "ufunc"}:
            for name in _OF_THE_KERNEL - own if cls.kernel else ():
                setattr(cls, name, getattr(Properties, name))
            cls.kernel = cls
        cls.label = re.sub("(?<=.)(?=[A-Z])", "_", cls.__name__).lower()
        if not abstract:
            Op.registry[f"{cls.__module__}.{cls.__qualname__}"] = cls

    def __call__(self, *inputs: Tensor, name: str | None = None) -> Tensor:
        """Add a node to the graph; gives its output, of an op that has one; see `apply`."""
        (output,) = self.apply(*inputs, name=name)
        return output

    def apply(self, *inputs: Tensor, name: str | None = None) -> tuple[Tensor, ...]:
        """Add a node to the graph; gives all its outputs.

        Raises:
            GraphError: the inputs' specs don't fit the op, or the inputs are of different graphs.
        """
        graph = max([tensor.graph for tensor in inputs], key=_depth) if inputs else default_graph()
        try:
            inputs = tuple([own(tensor, graph) for tensor in inputs])
            inferred = self.infer(*(tensor.spec for tensor in inputs))
        except GraphError as error:
            specs = ", ".join(f"{tensor.name} {tensor.spec}" for tensor in inputs)
            error.why = ": ".join(filter(None, (error.what, error.why)))
            error.what, error.where = f"{self.label}({specs})", error.where or graph.names.place()
            raise
        specs_of_outputs = (inferred,) if isinstance(inferred, Spec) else inferred
        return Node(self, inputs, name or self.label, graph, specs_of_outputs).outputs


_depth = attrgetter("depth")


class Captured(Op):
    """Its input, a tensor of the outer graph, in a loop's body: the same in every turn."""

    is_leaf = True

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream


def own(tensor: Tensor, graph: Graph) -> Tensor:
    """The tensor, or what stands for it in the graph where it is of an outer one.

    Raises:
        GraphError: it is of no outer graph.
    """
    if tensor.graph is graph:
        return tensor
    if graph.outer is None:
        raise GraphError(f"{tensor!r} is of another graph")
    tensor = own(tensor, graph.outer)
    if tensor not in graph.captured:
        name = tensor.name.rpartition("/")[-1].replace(":", "_")
        graph.captured[tensor] = Node(Captured(), (tensor,), name, graph, (tensor.spec,)).output
    return graph.captured[tensor]
