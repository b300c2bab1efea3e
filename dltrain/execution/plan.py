"""Plan: the calls that a run makes, bound to their arrays once and for all."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.spec import Array
from dltrain.backends.calls import NodesCall
from dltrain.compiler.ir import KernelError, explained
from dltrain.errors import DivergedError, GraphError


@dataclass(frozen=True)
class Plan:
    """A run in two phases: compute all fetches and new values, then commit the new values, all or none.

    Attributes:
        inputs: arrays to be filled before a run, one for each fed tensor.
        fetches: arrays that hold the fetched values after a run, until the next run or commit.
        compute, commit: the kernel calls of the two phases.
        joined: the same two with native calls in a row joined into one, which is what a run makes.
        guards: arrays that must be finite for the commit to happen, with their tensors.
        buffers, scratch: bytes allocated for results, and for what never leaves a tile of a group.
        source: the C functions that it calls; empty if there are none.
    """

    inputs: tuple[Array, ...]
    fetches: tuple[Array, ...]
    compute: tuple[NodesCall, ...]
    commit: tuple[NodesCall, ...]
    joined: tuple[tuple[NodesCall, ...], tuple[NodesCall, ...]]
    guards: tuple[tuple[Tensor, Array], ...]
    buffers: int
    scratch: int
    source: str = ""

    @property
    def bytes(self) -> int:
        """Memory allocated for the plan, besides its inputs and constants."""
        return self.buffers + self.scratch

    def run(self) -> list[Array]:
        """Run once on what the inputs hold.

        Returns:
            copies of the fetched values, as they were before the commit.

        Raises:
            GraphError: a kernel refused its input; names op and place. Nothing was committed.
            DivergedError: a guard is not finite; nothing was committed.
        """
        kernel: NodesCall | None = None
        compute, commit = self.joined
        try:
            with np.errstate(all="ignore"):
                for kernel in compute:
                    kernel.call()
                self._check_guards()
                results = [array.copy() for array in self.fetches]
                for kernel in commit:
                    kernel.call()
        except DivergedError:
            raise
        except KernelError as failure:
            raise explained(failure.error, failure.node) from None
        except Exception as error:
            if kernel is None:
                raise GraphError("a run failed", why=str(error)) from error
            raise explained(error, kernel.nodes[0]) from error
        return results

    def _check_guards(self) -> None:
        for tensor, array in self.guards:
            # Of a single number math knows it in a tenth of the time.
            if not (isfinite(array.item()) if array.size == 1 else np.isfinite(array).all()):
                found = f"it is {array.item()}" if array.size == 1 else "some of its elements are nan or inf"
                raise DivergedError(f"{tensor.name} is not finite", where=tensor.source, why=found)
