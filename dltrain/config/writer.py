"""Plain data -> YAML that every reader of YAML understands alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+-]*")
# Words that some reader of YAML takes for booleans or null, in any case.
_NO_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def to_yaml(data: Mapping[str, Any]) -> str:
    """YAML which reads back as equal `data`: a mapping of dict, list, tuple, str, int, float, bool, None.

    Mappings and lists of them take a line an entry; a list of scalars stays on one line, `[256, 128]`. Floats
    keep all their digits; text that could be taken for anything else is quoted.
    """
    return "".join(f"{line}\n" for line in _mapping(data)) if data else "{}\n"


def _mapping(data: Mapping[str, Any]) -> Iterator[str]:
    for key, value in data.items():
        yield from _entry(f"{_text(key)}:", value)


def _list(items: list[Any] | tuple[Any, ...]) -> Iterator[str]:
    for item in items:
        yield from _entry("-", item)


def _entry(head: str, value: Any) -> Iterator[str]:
    """`head` (a key with its colon, or a list's dash) and its value, on the same line or below."""
    if not _is_block(value):
        yield f"{head} {_flow(value)}"
        return
    lines = _mapping(value) if isinstance(value, Mapping) else _list(value)
    if head == "-":
        yield f"- {next(lines)}"
    else:
        yield head
    for line in lines:
        yield f"  {line}"


def _is_block(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(isinstance(item, Mapping | list | tuple) for item in value)
    return isinstance(value, Mapping) and bool(value)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_flow(item) for item in value)}]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value), _float(value))
    return _text(value) if isinstance(value, str) else str(value)


def _float(value: float) -> str:
    """All digits, and always a point: YAML 1.1 readers take `1e-05` for text."""
    digits, e, exponent = repr(value).partition("e")
    point = "" if "." in digits else ".0"
    return f"{digits}{point}{e}{exponent}"


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _NO_TEXT:
        return text
    return f'"{"".join(_escaped(character) for character in text)}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
