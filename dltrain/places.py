"""What errors point at and tensors remember: keys of a config, positions in files, lines of Python.

Whoever builds or runs a config names its keys; the command line, which knows the user's file, turns them into
positions there. So nobody has to take a printed place apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Place:
    """Base of all places; `str` is how an error shows one."""

    @property
    def section(self) -> str | int:
        """The first word of a config's key, such as "model"; empty for all other places."""
        return ""

    def resolved(self, find: Callable[[Key], Place | str]) -> Place | str:
        """The place with what `find` finds in place of keys."""
        return self


@dataclass(frozen=True, init=False)
class Key(Place):
    """A key of a config: `Key("model", "layers", 2, "units")` is shown as `model.layers[2].units`.

    In a validator's error it is relative to the section that is validated.

    Arguments:
        path: keys of mappings and indices of lists, from the top.
    """

    path: tuple[str | int, ...]

    def __init__(self, *path: str | int) -> None:
        object.__setattr__(self, "path", path)

    @property
    def section(self) -> str | int:
        return self.path[0] if self.path else ""

    def resolved(self, find: Callable[[Key], Place | str]) -> Place | str:
        return find(self)

    def __str__(self) -> str:
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return "".join(steps).removeprefix(".")


TOP = Key()  # the whole config: no key of it


@dataclass(frozen=True)
class Position(Place):
    """A character of a file, shown as `file:line:column`; both counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class SourceLine(Place):
    """A line of a Python file, shown as `file:line`."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, init=False)
class Places(Place):
    """Several places that do not fit each other, shown with commas."""

    places: tuple[Place | str, ...]

    def __init__(self, *places: Place | str) -> None:
        object.__setattr__(self, "places", places)

    def resolved(self, find: Callable[[Key], Place | str]) -> Place | str:
        return Places(*(each.resolved(find) if isinstance(each, Place) else each for each in self.places))

    def __str__(self) -> str:
        return ", ".join(map(str, self.places))
