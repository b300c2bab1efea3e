"""Plain data -> YAML that every reader of YAML understands alike."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any

import yaml

# Writes floats with all digits, and always a point: YAML 1.1 readers take `1e-05` for text.
_SCALARS = yaml.representer.SafeRepresenter()
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+-]*")
# Words that some reader of YAML takes for booleans or null, in any case.
_NO_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def to_yaml(data: Mapping[str, Any]) -> str:
    """YAML which reads back as equal `data`: a mapping of dict, list, tuple, str, int, float, bool, None.

    Mappings and lists of them take a line an entry; a list of scalars stays on one line, `[256, 128]`. Floats
    keep all their digits; text that could be taken for anything else is quoted.
    """
    return "".join(f"{line}\n" for line in _block(data)) if data else "{}\n"


def _block(data: Any) -> Iterator[str]:
    """The lines of a mapping or list: of each entry its key or dash, and the value beside or below it."""
    for key, value in data.items() if isinstance(data, Mapping) else (("", item) for item in data):
        head = f"{_text(key)}:" if isinstance(data, Mapping) else "-"
        if not _is_block(value):
            yield f"{head} {_flow(value)}"
            continue
        lines = _block(value)
        yield f"- {next(lines)}" if head == "-" else head
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
    return _text(value) if isinstance(value, str) else str(_SCALARS.represent_data(value).value)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _NO_TEXT:
        return text
    if text.isprintable():
        return json.dumps(text, ensure_ascii=False)
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=inf)).rstrip()
