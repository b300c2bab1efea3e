"""How text and values from a user's file are shown in one line of an error."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from dltrain.aliases import plain
from dltrain.errors import printable

LONGEST_SHOWN = 60  # characters of a value


def quoted(text: str) -> str:
    """`text` in quotes, escaped, and shortened in its middle when it is long."""
    if len(text) > LONGEST_SHOWN:
        half = LONGEST_SHOWN // 2
        text = f"{text[:half]}...{text[-half:]}"
    return repr(printable(text)) if text.isprintable() else repr(text)


def shown(value: Any) -> str:
    """A value as its YAML would be written: `null`, `true`, `-1.0`, `'text'`, `a list of 3 items`."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return f"a mapping of {counted(len(value), 'key')}"
    if isinstance(value, (list, tuple)):
        return f"a list of {counted(len(value), 'item')}"
    text = printable(repr(value))
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def counted(number: int, noun: str) -> str:
    """`1 key`, `2 keys`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def did_you_mean(word: str, known: Iterable[str], listed: str) -> str:
    """What to do about `word`, which is none of `known`; `listed` tells these."""
    near = nearest(word, known)
    return f"did you mean {quoted(near)}? ({listed})" if near else listed


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be, None when nothing is near."""
    by_plain = {plain(name): name for name in known}
    matches = difflib.get_close_matches(plain(word), by_plain, n=1, cutoff=0.6)
    return by_plain[matches[0]] if matches else None
