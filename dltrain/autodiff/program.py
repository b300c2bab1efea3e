"""Program: what a run is given, what it computes, and which variables it changes."""

from __future__ import annotations

from dataclasses import dataclass, field

from dltrain.autodiff.graph import Tensor, Updates


@dataclass(frozen=True)
class Program:
    """Tensors in, tensors out; a plain value, equal to programs of the same tensors.

    Attributes:
        inputs: tensors whose values a run is given, in this order; what is no placeholder is given in place
            of its own value.
        fetches: tensors whose values a run returns.
        updates: new values of variables, committed last, all or none.
        guards: tensors that must be finite for the commit to happen, besides those of the updates.
        substitutions: pairs of tensors; the second is computed, and used in place of the first.
    """

    inputs: tuple[Tensor, ...] = ()
    fetches: tuple[Tensor, ...] = ()
    updates: Updates = field(default_factory=Updates)
    guards: tuple[Tensor, ...] = ()
    substitutions: tuple[tuple[Tensor, Tensor], ...] = ()
