"""A config as it was written: plain values, each with the place where it stands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dltrain.config.strict_yaml import KeyPath, read_yaml
from dltrain.config.text import nearest, shown
from dltrain.errors import ConfigError, printable
from dltrain.files.plain import open_plain_file
from dltrain.places import Place, Position

LARGEST_FILE = 2**16  # bytes, of which the worst take half a second to read; a config has a thousand


@dataclass(frozen=True)
class Document:
    """Plain data, and where each part of it was written.

    Attributes:
        value: dict, list, str, int, float, bool or None, inside each other.
        source: the file's name, for messages.
        text: the YAML as the user wrote it, before any override.
        positions: path -> (place of the key or item, place of its value).
    """

    value: Any
    source: str
    text: str = ""
    positions: Mapping[KeyPath, tuple[Place | str, Place | str]] = field(default_factory=dict)

    def position(self, path: KeyPath) -> Place | str:
        """The place of the key or list item at `path`, or of the nearest thing that encloses it."""
        return self._places(path)[0]

    def value_position(self, path: KeyPath) -> Place | str:
        """The place of the value at `path`, or of the nearest thing that encloses it."""
        return self._places(path)[1]

    def _places(self, path: KeyPath) -> tuple[Place | str, Place | str]:
        for length in range(len(path), -1, -1):
            if path[:length] in self.positions:
                return self.positions[path[:length]]
        return self.source, self.source


def load_document(path: str | os.PathLike[str]) -> Document:
    """The config in a file; `~` at the beginning of its path is the user's home.

    Raises:
        ConfigError: there is no such file, it cannot be read, is no plain file or link to one, has more than
            64 KiB, is not UTF-8, or is not strict YAML with a mapping at its top.
    """
    path = Path(os.path.expanduser(path))  # which leaves `~nobody` as it is
    name = printable(str(path))
    if os.path.isdir(path):
        fix = _nearby(path / "config.yaml")
        raise ConfigError("not a config file but a folder", where=name, fix=fix)
    try:
        with os.fdopen(open_plain_file(path, error=ConfigError, follow_link=True), "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ConfigError("no such config file", where=name, fix=_nearby(path)) from None
    except ConfigError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError("cannot read the config file", where=name, why=reason) from None
    if len(data) > LARGEST_FILE:
        raise ConfigError(
            "the config file is too large", where=name, why=f"it has more than {LARGEST_FILE} bytes"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].split(b"\n")
        line, column = len(before), len(before[-1].decode("utf-8-sig")) + 1
        raise ConfigError(
            "the config file is not text in UTF-8",
            where=Position(name, line, column),
            why=f"byte 0x{data[error.start]:02x}",
            fix="save it as UTF-8",
        ) from None
    return parse_document(text, name)


def parse_document(text: str, source_name: str) -> Document:
    """The config in a text; `source_name` stands for the file in messages.

    Raises:
        ConfigError: the text is not strict YAML with a mapping at its top.
    """
    source = printable(source_name)
    value, positions = read_yaml(text, partial(Position, source))
    if value is None:
        raise ConfigError("the config is empty", where=source, fix="write keys and values, such as 'seed: 0'")
    if not isinstance(value, dict):
        raise ConfigError(
            "a config is a mapping of keys",
            where=positions[()][1],
            why=f"this is {shown(value)}",
            fix="write 'key: value', with a space after the colon",
        )
    return Document(value, source, text, positions)


def _nearby(path: Path) -> str:
    """What to do when `path` is no file: the config of its folder that was meant, or those there are."""
    folder = path.parent
    try:
        entries = sorted(name for name in os.listdir(folder) if (folder / name).is_file())
    except OSError:
        return f"there is no folder '{printable(str(folder))}'"
    by_stem = {Path(name).stem: name for name in entries if name.endswith((".yaml", ".yml"))}
    near = nearest(path.stem, by_stem)
    if near:
        return f"did you mean '{printable(str(folder / by_stem[near]))}'?"
    listed = ", ".join(printable(name) for name in list(by_stem.values())[:10])
    return f"in that folder: {listed}" if listed else "give the path of a YAML file"
