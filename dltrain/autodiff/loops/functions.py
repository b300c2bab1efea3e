"""scan and while_loop: loops as functions of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

from dltrain.autodiff import ops
from dltrain.autodiff.dimensions import Dimension
from dltrain.autodiff.graph import Graph, Tensor, TensorLike, default_graph, name_scope
from dltrain.autodiff.leaves import as_tensor
from dltrain.autodiff.loops.body import Body, carried
from dltrain.autodiff.loops.hoist import hoisted
from dltrain.autodiff.loops.scan_op import Scan
from dltrain.autodiff.op import own
from dltrain.autodiff.spec import Spec, as_shape, whole
from dltrain.errors import GraphError

Tensors = Any
"""A tensor, a tuple or list of tensors, or None for none."""


def scan(
    body: Callable[[Any, Any], tuple[Tensors, Tensors]],
    initial: Tensors,
    sequences: Tensors = None,
    *,
    length: Dimension | None = None,
    reverse: bool = False,
    checkpoint: int | None = None,
    name: str = "scan",
) -> tuple[Any, Any]:
    """A loop over the first axis of sequences: `states, outputs = body(states, elements)` for each element.

    The body is called once, when the graph is built, and is compiled once, whatever the length. It may use
    any tensor of the graph around it. Products of elements and a matrix from outside are computed for all
    turns at once, before the loop; so are, after it, those that are summed for the matrix' gradient.

    Arguments:
        body: from the states and the elements of a turn to the next states, in the same structure and of the
            same specs, and to the turn's outputs (or None).
        initial: the first states: a tensor, or a tuple or list of them.
        sequences: `(length, ...)`, a tensor, or a tuple or list of them; None, and `length`, for none.
        length: the number of turns: a size, or a name that other tensors have.
        reverse: begin with the last element; outputs still stand where their elements do.
        checkpoint: keep the states of each so many turns only, and have the derivative compute the turns
            between again: memory for time (Griewank and Walther 2000). It divides the length.

    Returns:
        the last states in their structure, and the outputs of all turns, each `(length, ...)`, in theirs.

    Raises:
        GraphError: specs, structures or lengths do not fit, or there is no length.
    """
    firsts, stacks = _tensors(initial), _tensors(sequences)
    with _common_graph((*firsts, *stacks)), name_scope(name):
        _require_callable(body, "the body", "states", "elements")
        length = _length(stacks, length, name)
        if checkpoint is not None:
            return _checkpointed(
                body, (initial, firsts), (sequences, stacks), length, reverse, checkpoint, name
            )
        return _scan(body, (initial, firsts), (sequences, stacks), length, reverse, False, name)


def _scan(
    body: Callable[[Any, Any], tuple[Tensors, Tensors]],
    initial: tuple[Tensors, list[Tensor]],
    sequences: tuple[Tensors, list[Tensor]],
    length: Dimension,
    reverse: bool,
    recomputes: bool,
    name: str,
) -> tuple[Any, Any]:
    (structure, firsts), (sequence_structure, stacks) = initial, sequences
    inner = Graph(seed=default_graph().seed, outer=default_graph())
    with inner, name_scope(name):
        states = [carried(first, "state", inner) for first in firsts]
        elements = [_element(stack, inner) for stack in stacks]
        given = _like(structure, states), _like(sequence_structure, elements)
        result = body(*given)
        if not isinstance(result, tuple) or len(result) != 2:
            raise GraphError(f"{name}: the body gives {result!r}", fix="give (next states, outputs)")
        following = [_of(inner, value) for value in _tensors(result[0])]
        outputs = [_of(inner, value) for value in _tensors(result[1])]
        _check_states(states, following, name)
    captured = tuple(inner.captured)
    traced = Body(inner, tuple(states), tuple(elements), tuple(inner.captured.values()), tuple(following))
    kept, kept_sequences = hoisted(traced, [*following, *outputs], stacks, captured)
    whole = Body(inner, traced.states, kept, traced.captured, traced.next_states)
    op = Scan(whole, tuple(dict.fromkeys(outputs)), length, reverse, recomputes=recomputes)
    values = op.apply(*firsts, *kept_sequences, *captured, name="loop")
    stacked = dict(zip(op.outputs, values[len(states) :], strict=True))
    last = _like(structure, values[: len(states)])
    return last, _like(result[1], [stacked[output] for output in outputs])


def _checkpointed(
    body: Callable[[Any, Any], tuple[Tensors, Tensors]],
    initial: tuple[Tensors, list[Tensor]],
    sequences: tuple[Tensors, list[Tensor]],
    length: Dimension,
    reverse: bool,
    turns: int,
    name: str,
) -> tuple[Any, Any]:
    """A loop over parts of `turns` turns, each a loop, whose derivative begins with the part itself."""
    turns = whole(turns, "checkpoint")
    if not isinstance(length, int) or turns < 1 or length % turns:
        raise GraphError(f"{name}: checkpoint={turns} does not divide the length {length}")
    structure, stacks = sequences
    parts = [ops.reshape(stack, (length // turns, turns, *stack.shape[1:])) for stack in stacks]

    def part(states: Any, elements: Any) -> tuple[Tensors, Tensors]:
        firsts = _tensors(states)
        return _scan(body, (states, firsts), (elements, _tensors(elements)), turns, reverse, False, name)

    last, outputs = _scan(part, initial, (structure, parts), length // turns, reverse, True, name)
    joined = [ops.reshape(stack, (length, *stack.shape[2:])) for stack in _tensors(outputs)]
    return last, _like(outputs, joined)


def while_loop(
    condition: Callable[[Any], Tensor],
    body: Callable[[Any], Tensors],
    initial: Tensors,
    maximum: int,
    *,
    name: str = "while_loop",
) -> tuple[Any, Tensor]:
    """`states = body(states)` as long as `condition(states)` holds, but at most `maximum` times.

    Its derivative goes back over the turns that were made; the states of `maximum` turns have memory for it.

    Arguments:
        condition: from the states to a bool scalar.
        body: from the states to the next states, in the same structure and of the same specs.
        initial: the first states: a tensor, or a tuple or list of them.

    Returns:
        the last states, and the number of turns made, an int64 scalar.

    Raises:
        GraphError: specs or structures do not fit, or the condition is no bool scalar.
    """
    firsts = _tensors(initial)
    graph = _common_graph(firsts)
    with graph, name_scope(name):
        _require_callable(condition, "the condition", "states")
        _require_callable(body, "the body", "states")
        inner = Graph(seed=graph.seed, outer=graph)
        with inner, name_scope(name):
            states = [carried(first, "state", inner) for first in firsts]
            going_on = _of(inner, condition(_like(initial, states)))
            if going_on.spec != Spec((), as_tensor(True).dtype):
                raise GraphError(f"{name}: the condition is {going_on.spec}, and not one bool")
            following = [_of(inner, value) for value in _tensors(body(_like(initial, states)))]
            _check_states(states, following, name)
        captured = tuple(inner.captured.values())
        traced = Body(inner, tuple(states), (), captured, tuple(following), going_on)
        values = Scan(traced, (), as_shape([maximum])[0]).apply(*firsts, *inner.captured, name="loop")
        return _like(initial, values[: len(states)]), values[-1]


def _require_callable(function: Callable[..., object], what: str, *arguments: str) -> None:
    """
    Raises:
        GraphError: it is no function of so many arguments.
    """
    try:
        signature(function).bind(*arguments)
    except TypeError as error:
        fix = f"give a function of {' and '.join(arguments)}"
        raise GraphError(f"{what} cannot be called", why=str(error), fix=fix) from None
    except ValueError:
        pass  # it does not tell


def _tensors(structure: Tensors) -> list[Tensor]:
    """What is in the structure; plain values become constants."""
    if structure is None:
        return []
    listed: Sequence[TensorLike] = structure if isinstance(structure, tuple | list) else [structure]
    return [as_tensor(value) for value in listed]


def _like(structure: Tensors, tensors: Sequence[Tensor]) -> Any:
    if structure is None:
        return None
    if not isinstance(structure, tuple | list):
        return tensors[0]
    return getattr(structure, "_make", type(structure))(tensors)  # a named tuple takes them one by one


def _common_graph(tensors: Sequence[Tensor]) -> Graph:
    """The innermost of their graphs; within a loop's body this one, where it is further in."""
    graphs = [tensor.graph for tensor in tensors]
    current = default_graph()
    if current.outer is not None or not graphs:
        graphs.append(current)
    return max(graphs, key=lambda graph: graph.depth)


def _length(stacks: Sequence[Tensor], length: Dimension | None, name: str) -> Dimension:
    """
    Raises:
        GraphError: there is none, or there are several.
    """
    found = {stack.shape[0] if stack.shape else 1: stack for stack in stacks}
    lengths = [*found, *([length] if length is not None else [])]
    for stack in stacks:
        if not stack.shape:
            raise GraphError(f"{name}: {stack!r} is no sequence", fix="give it a first axis, of the turns")
    if len(set(lengths)) != 1:
        why = f"they are {', '.join(map(str, lengths))}" if lengths else "there are no sequences"
        raise GraphError(f"{name} has no one length", why=why, fix="give sequences of one length, or length=")
    return as_shape(lengths[:1])[0]


def _element(stack: Tensor, inner: Graph) -> Tensor:
    tensor = carried(stack, "element", inner)
    tensor.spec = stack.spec.with_shape(stack.shape[1:])
    return tensor


def _of(inner: Graph, value: TensorLike) -> Tensor:
    return own(as_tensor(value), inner)


def _check_states(states: Sequence[Tensor], following: Sequence[Tensor], name: str) -> None:
    """
    Raises:
        GraphError: a turn would be given other states than the first.
    """
    if len(states) != len(following):
        raise GraphError(f"{name}: the body is given {len(states)} states and gives {len(following)}")
    for number, (state, after) in enumerate(zip(states, following, strict=True)):
        if state.spec != after.spec:
            raise GraphError(
                f"{name}: state {number} is {state.spec}, but the body makes {after.spec} of it",
                where=after.source,
                fix="give it the shape and dtype with which it begins",
            )
