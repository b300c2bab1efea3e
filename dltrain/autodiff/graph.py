"""Graph, Tensor, Op: what a computation is before it runs.

Building makes immutable nodes and computes nothing. Every node has one output, so node and tensor are
one object. A `Session` runs them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dltrain.autodiff.operators import Operators
from dltrain.autodiff.spec import Array, Shape, Spec
from dltrain.errors import GraphError, NotDifferentiableError
from dltrain.places import Place, SourceLine

if TYPE_CHECKING:
    from dltrain.autodiff.variable import Variable

PACKAGE = str(Path(__file__).resolve().parent.parent)


class Graph:
    """An append-only list of nodes with unique names.

    Nodes go to the innermost graph of a `with Graph():` block, or to the default graph.

    Arguments:
        seed: of every random op in the graph that names no seed of its own.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.nodes: list[Tensor] = []
        self.variables: list[Variable] = []
        self._by_name: dict[str, Tensor] = {}
        self._scopes: set[str] = set()
        self._repeats: dict[str, int] = {}  # the last suffix given to a name
        self._scope = ""
        self._source: Place | None = None
        self._step: Variable | None = None

    def __enter__(self) -> Graph:
        _graphs.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _graphs.pop()

    def __getitem__(self, name: str) -> Tensor:
        """The node called `name`; "add" and "add:0" name the same one."""
        try:
            return self._by_name[name.removesuffix(":0")]
        except KeyError:
            raise GraphError(f"the graph has no node {name!r}") from None

    @property
    def step(self) -> Variable:
        """The number of updates made, an int64 variable that `minimize` advances; made when first asked for.

        Random ops and schedules are functions of it.
        """
        if self._step is None:
            scope, self._scope = self._scope, ""
            with self:
                from dltrain.autodiff.variable import Variable

                self._step = Variable(np.int64(0), trainable=False, name="step")
            self._scope = scope
        return self._step

    def unique_name(self, name: str) -> str:
        """`name` below the current scope, with _1, _2, ... where it is taken."""
        return self._unused(self._scope + name)

    def _unused(self, name: str) -> str:
        candidate = name
        while candidate in self._by_name or candidate in self._scopes:
            self._repeats[name] = self._repeats.get(name, 0) + 1
            candidate = f"{name}_{self._repeats[name]}"
        return candidate

    def _add(self, node: Tensor) -> None:
        self.nodes.append(node)
        self._by_name[node.name] = node

    @contextmanager
    def _scoped(self, name: str) -> Iterator[str]:
        outer = self._scope
        entered = self._unused(outer + name)
        self._scopes.add(entered)
        self._scope = f"{entered}/"
        try:
            yield entered
        finally:
            self._scope = outer

    @contextmanager
    def _sourced(self, source: Place) -> Iterator[None]:
        outer, self._source = self._source, source
        try:
            yield
        finally:
            self._source = outer

    def _caller(self) -> Place:
        """The place given by `source`, or the user's file and line: the first frame outside dltrain."""
        if self._source is not None:
            return self._source
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
            frame = frame.f_back
        return SourceLine(frame.f_code.co_filename, frame.f_lineno)


_graphs = [Graph()]


def default_graph() -> Graph:
    """The graph that new nodes go to."""
    return _graphs[-1]


def reset_default_graph() -> None:
    """Start a new, empty default graph; for notebooks.

    Raises:
        GraphError: inside a `with Graph():` block.
    """
    if len(_graphs) > 1:
        raise GraphError("the default graph cannot be reset inside a `with Graph():` block")
    _graphs[0] = Graph()


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Put `name/` before the names of the nodes made in the block; yields the full name, made unique."""
    with default_graph()._scoped(name) as entered:
        yield entered


@contextmanager
def source(place: Place) -> Iterator[None]:
    """Make `place` (a config's key, say) the one that errors name for nodes made in the block."""
    with default_graph()._sourced(place):
        yield


class Tensor(Operators):
    """A node of the graph: an op applied to inputs, with one output.

    Attributes:
        op: what computes it.
        inputs: the nodes it is computed from.
        spec: shape and dtype of the output.
        name: unique in the graph, with "/" between name scopes.
        source: the place that made it: the user's file and line, or the config's key.
    """

    __slots__ = ("graph", "inputs", "name", "op", "source", "spec")
    __array_ufunc__ = None  # so that `array + tensor` asks the tensor

    def __init__(self, op: Op, inputs: Sequence[Tensor], spec: Spec, name: str, graph: Graph) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.spec = spec
        self.name = graph.unique_name(name)
        self.graph = graph
        self.source = graph._caller()
        graph._add(self)

    @property
    def shape(self) -> Shape:
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.spec.dtype

    def __repr__(self) -> str:
        return f'Tensor("{self.name}:0", shape={self.shape}, dtype={self.dtype.name})'

    def __bool__(self) -> bool:
        raise GraphError(
            f"{self} has no value while the graph is built",
            where=self.source,
            fix="use where() in the graph, or run it in a Session first",
        )

    def __iter__(self) -> Iterator[Tensor]:
        raise GraphError(f"{self} cannot be iterated over", where=self.source, fix="index or slice it")


TensorLike = Tensor | Array | Sequence[Any] | float | int | bool | np.generic


@dataclass(frozen=True)
class Op:
    """What computes a node: attributes (the dataclass' fields), shape rule, kernel, gradient.

    A subclass with attributes is itself a frozen dataclass, so that equal ops compare equal. It is used
    by calling it with the inputs: `Sigmoid()(x)` adds a node to the graph.
    """

    differentiable: ClassVar[bool] = True
    registry: ClassVar[dict[str, type[Op]]] = {}

    def __init_subclass__(cls, abstract: bool = False, **arguments: Any) -> None:
        """Register the class by its name, unless it is `abstract` (only a base for others)."""
        super().__init_subclass__(**arguments)
        if not abstract:
            Op.registry[f"{cls.__module__}.{cls.__qualname__}"] = cls

    def infer(self, *inputs: Any, **_: Any) -> Spec:
        """The shape function: spec of the output from the inputs'; GraphError if they don't fit."""
        raise NotImplementedError(type(self).__name__)

    def compute(self, *inputs: Any, **_: Any) -> None:
        """The kernel: `compute(*arrays, out=array)` fills `out` and changes no input."""
        raise NotImplementedError(type(self).__name__)

    def gradient(self, node: Tensor, upstream: Tensor) -> Tensor | Sequence[Tensor | None]:
        """The gradient of each input (None where there is none), as graph; may use `node`, the output.

        `upstream` is the gradient of the output. A gradient may still have the output's shape where the
        input was broadcast: the reverse walk sums it back.
        """
        raise NotDifferentiableError(
            f"{self.label} has no derivative",
            where=node.source,
            why=f"a gradient was asked for through {node.name!r}",
            fix="leave it off the path from the variables to the loss, or wrap it in stop_gradient()",
        )

    @property
    def logarithm(self) -> Op | None:
        """The op that computes the logarithm of the output from the inputs, where that is more accurate."""
        return None

    @property
    def label(self) -> str:
        """The class' name in snake case: the default name of its nodes."""
        name = type(self).__name__
        return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))

    def __call__(self, *inputs: Tensor, name: str | None = None) -> Tensor:
        """Add a node to the graph.

        Raises:
            GraphError: the inputs' specs don't fit the op, or the inputs are of different graphs.
        """
        graph = inputs[0].graph if inputs else default_graph()
        for tensor in inputs:
            if tensor.graph is not graph:
                raise GraphError(f"{self.label}: {tensor!r} is of another graph than {inputs[0]!r}")
        try:
            spec = self.infer(*(tensor.spec for tensor in inputs))
        except GraphError as error:
            raise self._explained(error, inputs, graph) from None
        return Tensor(self, inputs, spec, name or self.label, graph)

    def _explained(self, error: GraphError, inputs: Sequence[Tensor], graph: Graph) -> GraphError:
        specs = ", ".join(f"{tensor.name} {tensor.spec}" for tensor in inputs)
        what = f"{self.label}({specs})"
        return type(error)(what, where=error.where or graph._caller(), why=error.what, fix=error.fix)
