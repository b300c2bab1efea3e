"""Graph, Node, Tensor, Variable: what a computation is before it runs.

Building makes immutable nodes and computes nothing: a node is an op applied to tensors, and a tensor one of a
node's outputs. A `Session` runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from dltrain.autodiff.dimensions import Shape
from dltrain.autodiff.naming import Names
from dltrain.autodiff.properties import Properties
from dltrain.autodiff.spec import Array, Spec, as_array
from dltrain.errors import GraphError
from dltrain.places import Place


class Graph:
    """An append-only list of nodes with unique names.

    Nodes go to the innermost graph of a `with Graph():` block, or to the default graph.

    Arguments:
        seed: of every random op in the graph that names no seed of its own.
        outer: the graph that this one is within, as the body of a loop; it may use tensors of it.

    Attributes:
        captured: for each tensor of the outer graph that is used, what it is called by in this one.
    """

    def __init__(self, seed: int = 0, outer: Graph | None = None) -> None:
        self.seed, self.outer = seed, outer
        self.depth: int = outer.depth + 1 if outer else 0
        self.captured: dict[Tensor, Tensor] = {}
        self.nodes: list[Node] = []
        self.variables: list[Variable] = []
        self.names = Names()
        self._by_name: dict[str, Node] = {}
        self._step: Variable | None = None

    def __enter__(self) -> Graph:
        _entered.set((*_entered.get(), self))
        return self

    def __exit__(self, *_: object) -> None:
        _entered.set(_entered.get()[:-1])

    def __getitem__(self, name: str) -> Tensor:
        """The tensor called `name`: "split:1" is the second output of the node "split", "split:0" the first.

        Without a number it is the first.
        """
        node, _, number = name.partition(":")
        try:
            return self._by_name[node].outputs[int(number or 0)]
        except (KeyError, ValueError, IndexError):
            raise GraphError(f"the graph has no tensor {name!r}") from None

    @property
    def step(self) -> Variable:
        """The number of updates made, an int64 variable that `minimize` advances; made when first asked for.

        Random ops and schedules are functions of it. That of a loop's body is the outer graph's.
        """
        if self.outer is not None:
            return self.outer.step
        if self._step is None:
            with self, self.names.within(""):
                self._step = Variable(np.int64(0), trainable=False, name="step")
        return self._step

    def add(self, node: Node) -> None:
        """Append a node, which is of this graph and has a name of its own."""
        self.nodes.append(node)
        self._by_name[node.name] = node


_process_default = [Graph()]
_entered: ContextVar[tuple[Graph, ...]] = ContextVar("entered graphs", default=())


def default_graph() -> Graph:
    """The graph that new nodes go to: that of the innermost `with Graph():` block, else the process' own.

    Blocks are those of the thread, or of the asyncio task: a thread begins outside of all blocks.
    """
    return (_entered.get() or _process_default)[-1]


def reset_default_graph() -> None:
    """Start a new, empty default graph for the process; for notebooks.

    Raises:
        GraphError: inside a `with Graph():` block.
    """
    if _entered.get():
        raise GraphError("the default graph cannot be reset inside a `with Graph():` block")
    _process_default[0] = Graph()


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Put `name/` before the names of the nodes made in the block; yields the full name, made unique.

    A `GraphError` that leaves the block without a place is given that of the block.
    """
    names = default_graph().names
    entered = names.take(name)
    with names.within(entered):
        try:
            yield entered
        except GraphError as error:
            error.where = error.where or names.place()
            raise


@contextmanager
def source(place: Place) -> Iterator[None]:
    """Make `place` (a config's key, say) the one that errors name for nodes made in the block."""
    with default_graph().names.made_by(place):
        yield


class Node:
    """An op applied to tensors.

    Attributes:
        op: what computes it.
        inputs: what it is computed from.
        outputs: what it gives.
        name: unique in the graph, with "/" between name scopes.
        source: the place that made it: the user's file and line, or the config's key.
    """

    __slots__ = ("graph", "inputs", "name", "op", "outputs", "source")

    def __init__(
        self, op: Properties, inputs: Sequence[Tensor], name: str, graph: Graph, outputs: Sequence[Spec] = ()
    ) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.name = graph.names.take(name)
        self.graph = graph
        self.source = graph.names.place()
        self.outputs = tuple([Tensor(self, index, spec) for index, spec in enumerate(outputs)])
        graph.add(self)

    @property
    def sources(self) -> list[Node]:
        """The nodes of its inputs."""
        return [tensor.node for tensor in self.inputs]

    @property
    def output(self) -> Tensor:
        """The one output of a node that has no other."""
        (output,) = self.outputs
        return output


class Tensor:
    """An output of a node.

    Attributes:
        node: what gives it.
        index: its number among the node's outputs.
        spec: shape and dtype.
    """

    __slots__ = ("index", "node", "spec")
    __array_ufunc__ = None  # so that `array + tensor` asks the tensor

    # Python's operators are ops, and are set where these are known (operators.py).
    __add__: ClassVar[Binary]
    __radd__: ClassVar[Binary]
    __sub__: ClassVar[Binary]
    __rsub__: ClassVar[Binary]
    __mul__: ClassVar[Binary]
    __rmul__: ClassVar[Binary]
    __truediv__: ClassVar[Binary]
    __rtruediv__: ClassVar[Binary]
    __pow__: ClassVar[Binary]
    __rpow__: ClassVar[Binary]
    __matmul__: ClassVar[Binary]
    __rmatmul__: ClassVar[Binary]
    __lt__: ClassVar[Binary]
    __le__: ClassVar[Binary]
    __gt__: ClassVar[Binary]
    __ge__: ClassVar[Binary]
    __neg__: ClassVar[Callable[[Tensor], Tensor]]
    __getitem__: ClassVar[Callable[[Tensor, Any], Tensor]]
    _abs: ClassVar[Callable[[Tensor], Tensor]]

    def __abs__(self) -> Tensor:  # a method: type checkers ask for one where `abs` is called
        return self._abs()

    def __init__(self, node: Node, index: int, spec: Spec) -> None:
        self.node, self.index, self.spec = node, index, spec

    @property
    def op(self) -> Properties:
        return self.node.op

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What its node is computed from."""
        return self.node.inputs

    @property
    def graph(self) -> Graph:
        return self.node.graph

    @property
    def source(self) -> Place:
        """The place that made its node."""
        return self.node.source

    @property
    def name(self) -> str:
        """That of the node; with ":1" for its second output, and so on."""
        return f"{self.node.name}:{self.index}" if self.index else self.node.name

    @property
    def shape(self) -> Shape:
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.spec.dtype

    def __repr__(self) -> str:
        return f'Tensor("{self.node.name}:{self.index}", shape={self.shape}, dtype={self.dtype.name})'

    def __bool__(self) -> bool:
        raise GraphError(
            f"{self} has no value while the graph is built",
            where=self.source,
            fix="use where() in the graph, or run it in a Session first",
        )

    def __iter__(self) -> Iterator[Tensor]:
        raise GraphError(
            f"{self} cannot be iterated over",
            where=self.source,
            fix="index or slice it, or write [it] for a list",
        )

    def __array__(self, *_: Any, **__: Any) -> Array:
        raise GraphError(
            f"{self!r} is a tensor of the graph where a value is needed",
            where=self.source,
            fix="join tensors by concat(), or run it in a Session first",
        )


TensorLike = Tensor | Array | Sequence[Any] | float | int | bool | np.generic
Binary = Callable[[Tensor, TensorLike], Tensor]


class ReadVariable(Properties):
    """The value of a variable before the run."""

    label = "read_variable"
    is_leaf = True


class Variable(Tensor):
    """A tensor whose value a `Session` keeps from run to run; reading it gives the value before the run.

    Arguments:
        initial: the first value: array, number, or a tensor (with sizes for all dimensions) that is
            computed when a session first needs the variable.
        trainable: whether optimizers change it unless told otherwise.
        dtype: default that of `initial`, float32 for Python's floats.
        name: default "variable".

    Raises:
        GraphError: the shape has a named dimension, the dtype is none that tensors have, or it is made within
            the body of a loop.
    """

    __slots__ = ("initial", "trainable")
    assign: ClassVar[Callable[[Variable, TensorLike], Updates]]
    """The update, to be run in a session, that gives the variable a new value (operators.py)."""

    def __init__(
        self,
        initial: TensorLike,
        *,
        trainable: bool = True,
        dtype: DTypeLike | None = None,
        name: str = "variable",
    ) -> None:
        value = initial if isinstance(initial, Tensor) else as_array(initial, dtype).copy()
        spec = value.spec if isinstance(value, Tensor) else Spec(value.shape, value.dtype)
        _ = spec.sizes  # refuses named dimensions
        self.initial = value
        self.trainable = trainable
        graph = default_graph()
        if graph.outer is not None:
            raise GraphError(
                f"variable {name!r} is made in the body of a loop",
                where=graph.names.place(),
                fix="make it before the loop; the body may use it",
            )
        node = Node(ReadVariable(), (), name, graph)
        super().__init__(node, 0, spec)
        node.outputs = (self,)
        node.graph.variables.append(self)

    @property
    def is_weight(self) -> bool:
        """Trainable and of rank 2 or more; penalties on size and weight decay are for these."""
        return self.trainable and self.spec.rank >= 2


@dataclass(frozen=True)
class Updates:
    """A fetchable set of (variable, new value): a run computes all values, then commits all or none.

    Attributes:
        pairs: of variable and new value.
        guards: tensors that must be finite for the commit to happen.

    Raises:
        GraphError: a variable is named twice, or a value's spec is not its variable's.
    """

    pairs: Sequence[tuple[Variable, Tensor]] = ()
    guards: Sequence[Tensor] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", tuple(self.pairs))
        object.__setattr__(self, "guards", tuple(self.guards))
        seen: set[Variable] = set()
        for variable, value in self.pairs:
            if variable in seen:
                raise GraphError(
                    f"variable {variable.name!r} is updated twice in one run", where=value.source
                )
            if value.spec != variable.spec:
                raise GraphError(
                    f"variable {variable.name!r} is {variable.spec} but its new value is {value.spec}",
                    where=value.source,
                )
            seen.add(variable)

    def __add__(self, other: Updates) -> Updates:
        return Updates((*self.pairs, *other.pairs), (*self.guards, *other.guards))
