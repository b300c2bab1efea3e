"""Plan: the calls that a run makes, bound to their arrays once and for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dltrain.autodiff.compiler.ir import KernelError, Node, explained
from dltrain.autodiff.compiler.tiles import Call
from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.spec import Array
from dltrain.errors import DivergedError, GraphError

NodesCall = tuple[tuple[Node, ...], Call]


@dataclass(frozen=True)
class Plan:
    """A run in two phases: compute all fetches and new values, then commit the new values, all or none.

    Attributes:
        inputs: arrays to be filled before a run, one for each fed tensor.
        fetches: arrays that hold the fetched values after a run, until the next run or commit.
        compute, commit: the kernel calls of the two phases, each with the nodes it computes.
        guards: arrays that must be finite for the commit to happen, with their tensors.
        memory: all arrays, which native kernels know by address only.
        bytes: memory allocated for the plan's results and scratch.
    """

    inputs: tuple[Array, ...]
    fetches: tuple[Array, ...]
    compute: tuple[NodesCall, ...]
    commit: tuple[NodesCall, ...]
    guards: tuple[tuple[Tensor, Array], ...]
    memory: tuple[Array, ...]
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
        except KernelError as failure:
            raise explained(failure.error, failure.node) from None
        except Exception as error:
            raise self._explained(error, call) from error
        return results

    def _check_guards(self) -> None:
        for tensor, array in self.guards:
            if not np.isfinite(array).all():
                found = f"it is {array.item()}" if array.size == 1 else "some of its elements are nan or inf"
                raise DivergedError(f"{tensor.name} is not finite", where=tensor.source, why=found)

    def _explained(self, error: Exception, failed: Call | None) -> GraphError:
        for nodes, call in (*self.compute, *self.commit):
            if call is failed:
                return explained(error, nodes[0])
        return GraphError("a run failed", why=str(error))
