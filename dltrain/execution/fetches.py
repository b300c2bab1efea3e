"""What a run may be asked for: nested lists, tuples and dicts of tensors and updates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dltrain.autodiff.graph import Tensor, Updates
from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Array
from dltrain.errors import GraphError

Fetches = Any
"""A Tensor or Updates, or a list, tuple or dict of fetches; a run returns the same structure of values."""


def program_of(fetches: Fetches, inputs: Iterable[Tensor], guards: Iterable[Tensor] = ()) -> Program:
    """The program that computes the fetches.

    Raises:
        GraphError: a fetch is something else than `Fetches` may be, or a variable is updated twice.
    """
    leaves = list(_leaves(fetches))
    updates = [leaf for leaf in leaves if isinstance(leaf, Updates)]
    return Program(
        tuple(inputs),
        tuple([leaf for leaf in leaves if isinstance(leaf, Tensor)]),
        updates[0] if len(updates) == 1 else sum(updates, Updates()),
        tuple(guards),
    )


def structured(fetches: Fetches, results: Iterator[Array]) -> Any:
    """The next results in the structure of the fetches."""
    match fetches:
        case Tensor():
            array = next(results)
            return array.item() if array.ndim == 0 else array
        case Updates():
            return None
        case dict():
            return {key: structured(fetch, results) for key, fetch in fetches.items()}
        case tuple():
            return tuple([structured(fetch, results) for fetch in fetches])
        case _:
            return [structured(fetch, results) for fetch in fetches]


def _leaves(fetches: Fetches) -> Iterator[Tensor | Updates]:
    match fetches:
        case Tensor() | Updates():
            yield fetches
        case list() | tuple() | dict():
            for fetch in fetches.values() if isinstance(fetches, dict) else fetches:
                yield from _leaves(fetch)
        case _:
            raise GraphError(
                f"{fetches!r} cannot be fetched",
                fix="fetch tensors, updates, or lists, tuples, dicts of them",
            )
