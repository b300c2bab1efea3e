"""Plan: the calls that a run makes, bound to their arrays once and for all."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite

import numpy as np

from dltrain.autodiff.graph import Tensor
from dltrain.autodiff.spec import Array
from dltrain.backends.backend import Call, each
from dltrain.compiler.ir import KernelError, explained
from dltrain.errors import DivergedError, GraphError

_exhaust = deque[object](maxlen=0).extend  # takes all that an iterator gives and keeps nothing


@dataclass(frozen=True)
class Plan:
    """A run in two phases: compute all fetches and new values, then commit the new values, all or none.

    Attributes:
        inputs: arrays to be filled before a run, one for each fed tensor that has no memory of its own.
        fetches: arrays that hold the fetched values after a run, until the next run or commit.
        phases: the calls of the two.
        guards: tensors that must be finite for the commit to happen, with their arrays and summaries.
        buffers, scratch: bytes allocated for results, and for what never leaves a tile of a group.
    """

    inputs: tuple[Array, ...]
    fetches: tuple[Array, ...]
    phases: tuple[Sequence[Call], Sequence[Call]]
    guards: tuple[tuple[Tensor, Array, Array], ...]
    buffers: int
    scratch: int

    @cached_property
    def compute(self) -> list[Call]:
        """The calls of the first phase, with those that make several taken apart."""
        return each(self.phases[0])

    @cached_property
    def commit(self) -> list[Call]:
        """Those of the second."""
        return each(self.phases[1])

    @property
    def source(self) -> str:
        """The C that was written for it; empty if there is none."""
        sources = (call.source for call in (*self.compute, *self.commit))
        return "\n".join(dict.fromkeys(source for source in sources if source))

    @property
    def bytes(self) -> int:
        """Memory allocated for the plan, besides its inputs and constants."""
        return self.buffers + self.scratch

    def run(self, limit: float = inf) -> list[Array]:
        """Run once on what the inputs hold.

        Arguments:
            limit: what guards without dimensions must stay below.

        Returns:
            copies of the fetched values, as they were before the commit.

        Raises:
            GraphError: a kernel refused its input; names op and place. Nothing was committed.
            DivergedError: a guard is not finite, or not below the limit; nothing was committed.
            MemoryError, OSError: of a kernel, as they are; nothing was committed.
        """
        return self._silent.run(self._run, limit)

    @cached_property
    def _silent(self) -> Context:
        """Where NumPy does not warn of numbers; to enter it takes a tenth of the time of `np.errstate`."""
        context = Context()
        context.run(np.seterr, all="ignore")
        return context

    def _run(self, limit: float) -> list[Array]:
        call: Call | None = None
        try:
            for call in self.phases[0]:
                call.run()
            self._check_guards(limit)
            results = [array.copy() for array in self.fetches]
            call = None
            # One call of C, within which Python handles no signal: an interrupt leaves all or nothing.
            _exhaust(map(operator.call, self._commit_calls))
        except (DivergedError, MemoryError, OSError):
            raise
        except KernelError as failure:
            raise explained(failure.error, failure.node) from None
        except Exception as error:
            if call is None:
                raise GraphError("a run failed", why=str(error)) from error
            raise explained(error, call.nodes[0]) from error
        return results

    @cached_property
    def _commit_calls(self) -> tuple[Callable[[], object], ...]:
        return tuple(call.run for call in self.phases[1])

    def _check_guards(self, limit: float) -> None:
        for tensor, array, summary in self.guards:
            if array.ndim == 0:
                if not -inf < (value := array.item()) < limit:
                    found = f"below {limit:.3g}" if isfinite(value) else "finite"
                    raise DivergedError(
                        f"{tensor.name} is not {found}", where=tensor.source, why=f"it is {value}"
                    )
            elif not isfinite(np.vdot(summary, summary)) and not np.isfinite(array).all():
                why = "some of its elements are nan or inf"
                raise DivergedError(f"{tensor.name} is not finite", where=tensor.source, why=why)
