"""Names: what a graph's nodes are called, and the place that made each."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dltrain.places import Place, SourceLine

OURS = str(Path(__file__).resolve().parent.parent), contextlib.__file__
"""Where the files of frames lie that are not the user's."""


class Names:
    """The names that are taken in a graph, the scope that is open in it, and the place being built."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._repeats: dict[str, int] = {}  # the last suffix given to a name
        self._scope = ""
        self._place: Place | None = None

    def unused(self, name: str) -> str:
        """`name` below the open scope, with _1, _2, ... where it is taken."""
        name = self._scope + name
        candidate = name
        while candidate in self._taken:
            self._repeats[name] = self._repeats.get(name, 0) + 1
            candidate = f"{name}_{self._repeats[name]}"
        return candidate

    def take(self, name: str) -> str:
        """The unused name for `name`, which from now on is taken."""
        taken = self.unused(name)
        self._taken.add(taken)
        return taken

    @contextmanager
    def within(self, scope: str) -> Iterator[None]:
        """Open `scope`, a full name, or "" for none."""
        outer, self._scope = self._scope, scope and f"{scope}/"
        try:
            yield
        finally:
            self._scope = outer

    @contextmanager
    def made_by(self, place: Place) -> Iterator[None]:
        outer, self._place = self._place, place
        try:
            yield
        finally:
            self._place = outer

    def place(self) -> Place:
        """The place given to `made_by`, or the user's file and line: the first frame outside dltrain."""
        if self._place is not None:
            return self._place
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(OURS):
            frame = frame.f_back
        return SourceLine(frame.f_code.co_filename, frame.f_lineno)
