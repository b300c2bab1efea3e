"""Plan: the calls that a run makes, bound to their arrays once and for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from dltrain.autodiff.compiler.commit import Update
from dltrain.autodiff.compiler.ir import Node, explained
from dltrain.autodiff.compiler.schedule import Step
from dltrain.autodiff.compiler.tiles import Call, Scratch, group_calls, kernel_call
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.ops.bases import Elementwise, View
from dltrain.autodiff.ops.slices import Pack
from dltrain.autodiff.spec import Array
from dltrain.autodiff.storage import Storage
from dltrain.errors import DivergedError, GraphError

NodeCall = tuple[Node, Call]


@dataclass(frozen=True)
class Plan:
    """A run in two phases: compute all fetches and new values, then commit the new values, all or none.

    Attributes:
        inputs: arrays to be filled before a run, one for each fed tensor.
        fetches: arrays that hold the fetched values after a run, until the next run or commit.
        compute, commit: the kernel calls of the two phases, each with the node it computes.
        guards: arrays that must be finite for the commit to happen, with their tensors.
        bytes: memory allocated for the plan's results and scratch.
    """

    inputs: tuple[Array, ...]
    fetches: tuple[Array, ...]
    compute: tuple[NodeCall, ...]
    commit: tuple[NodeCall, ...]
    guards: tuple[tuple[Tensor, Array], ...]
    bytes: int

    def run(self) -> list[Array]:
        """Run once on what the inputs hold.

        Returns:
            copies of the fetched values, as they were before the commit.

        Raises:
            GraphError: a kernel refused its input; names op and place. Nothing was committed.
            DivergedError: a guard is not finite; nothing was committed.
        """
        call: Call | None = None
        try:
            with np.errstate(all="ignore"):
                for _, call in self.compute:
                    call()
                self._check_guards()
                results = [array.copy() for array in self.fetches]
                for _, call in self.commit:
                    call()
        except DivergedError:
            raise
        except Exception as error:
            raise self._explained(error, call) from error
        return results

    def _check_guards(self) -> None:
        for tensor, array in self.guards:
            if not np.isfinite(array).all():
                found = f"it is {array.item()}" if array.size == 1 else "some of its elements are nan or inf"
                raise DivergedError(f"{tensor.name} is not finite", where=tensor.source, why=found)

    def _explained(self, error: Exception, failed: Call | None) -> GraphError:
        for node, call in (*self.compute, *self.commit):
            if call is failed:
                return explained(error, node)
        return GraphError("a run failed", why=str(error))


def emit(steps: Sequence[Step], arrays: Mapping[Node, Array], scratch: Scratch) -> list[NodeCall]:
    """The kernel calls of the steps in order; there are none for a result that is in place already."""
    calls: list[NodeCall] = []
    for step in steps:
        match step[0].op:
            case Elementwise():
                calls += group_calls(step, arrays, scratch)
            case Pack():
                calls += _pack_calls(step[0], arrays)
            case View() if _is_view(step[0], arrays):
                pass
            case _:
                inputs = [arrays[source] for source in step[0].inputs]
                calls.append((step[0], kernel_call(step[0], inputs, arrays[step[0]])))
    return calls


def emit_commit(updates: Sequence[Update], arrays: Mapping[Node, Array], storage: Storage) -> list[NodeCall]:
    """Copies of the new values into those variables that no group writes itself."""
    return [
        (value, partial(np.copyto, storage.array(variable), arrays[value]))
        for variable, value in updates
        if not _is_same_memory(storage.array(variable), arrays[value])
    ]


def _pack_calls(node: Node, arrays: Mapping[Node, Array]) -> list[NodeCall]:
    calls: list[NodeCall] = []
    start = 0
    for source in node.inputs:
        size = prod(source.spec.sizes)
        part = arrays[node][start : start + size].reshape(source.spec.sizes)
        if not _is_same_memory(part, arrays[source]):
            calls.append((node, partial(np.copyto, part, arrays[source])))
        start += size
    return calls


def _is_view(node: Node, arrays: Mapping[Node, Array]) -> bool:
    return arrays[node].size == 0 or np.may_share_memory(arrays[node], arrays[node.inputs[0]])


def _is_same_memory(one: Array, other: Array) -> bool:
    return (one.ctypes.data, one.shape, one.strides) == (other.ctypes.data, other.shape, other.strides)
