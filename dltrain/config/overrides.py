"""Overrides of a config from the command line: `optimizer.learning_rate=1e-3`, `model.layers.0.units=64`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dltrain.config.document import Document
from dltrain.config.strict_yaml import KeyPath, Positions, read_yaml
from dltrain.config.text import counted, quoted, shown
from dltrain.errors import ConfigError


def apply_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """`document` with each `path=value` set in turn; the document itself stays as it is.

    The value is strict YAML (`[256, 128]` is a list). Keys of the path that are not there yet are made. Where
    a key is set below a bare name, as in `optimizer: adam`, the name becomes `{name: adam}` first.

    Raises:
        ConfigError: overrides are malformed or lead into a value without keys, all of them together.
    """
    value, positions = copy.deepcopy(document.value), dict(document.positions)
    problems: list[ConfigError] = []
    for override in overrides:
        try:
            positions = _apply(value, positions, override)
        except ConfigError as error:
            problems.append(error)
    if problems:
        raise ConfigError.together(problems)
    return replace(document, value=value, positions=positions)


def _apply(holder: Any, positions: Positions, override: str) -> Positions:
    """Sets the value of an override in `holder`, the whole config's; returns the positions then."""
    place = f"override {quoted(override)}"
    keys, text = _split(override, place)
    value, value_positions = read_yaml(text, lambda line, column: place)
    path: KeyPath = ()
    for key in keys[:-1]:
        index = _index(holder, key, path, place)
        path = (*path, index)
        if isinstance(holder, dict):
            holder.setdefault(key, None)
        positions.setdefault(path, (place, place))
        if holder[index] is None:
            holder[index] = {}
        elif isinstance(holder[index], str):  # a bare component name
            holder[index] = {"name": holder[index]}
        holder = holder[index]
    index = _index(holder, keys[-1], path, place)
    path = (*path, index)
    holder[index] = value
    kept = {old: at for old, at in positions.items() if old[: len(path)] != path}
    return kept | {(*path, *below): at for below, at in value_positions.items()}


def _split(override: str, place: str) -> tuple[list[str], str]:
    """The keys of the path, and the text of the value."""
    dotted, equals, text = override.partition("=")
    keys = dotted.split(".")
    example = "write key=value, such as optimizer.learning_rate=1e-3"
    if not equals:
        raise ConfigError("an override without '='", where=place, fix=example)
    if not all(key and key == key.strip() for key in keys):
        raise ConfigError("an override with an empty key, or spaces around one", where=place, fix=example)
    if not text.strip():
        raise ConfigError("an override without a value", where=place, fix=f"write {dotted}=null for no value")
    return keys, text


def _index(holder: Any, key: str, path: KeyPath, place: str) -> str | int:
    """`key` as `holder` takes it: a mapping's key, or the index of a list's item that exists."""
    if isinstance(holder, dict):
        return key
    dotted = ".".join(str(step) for step in path)
    if not isinstance(holder, list):
        fix = f"write {dotted}=... to give it a value"
        raise ConfigError(f"{quoted(dotted)} has no keys", where=place, why=f"it is {shown(holder)}", fix=fix)
    if key.isascii() and key.isdigit() and len(key) < 10 and int(key) < len(holder):
        return int(key)
    why = f"the list has {counted(len(holder), 'item')}, counted from 0"
    fix = f"write {dotted}=[...] for another list"
    raise ConfigError(f"no item {quoted(key)} in {quoted(dotted)}", where=place, why=why, fix=fix)
