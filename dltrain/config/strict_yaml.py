"""Strict YAML: text -> plain values, and where each of them stands.

Values are built from PyYAML's events; what a plain (unquoted) scalar means is decided here, by the core
schema of YAML 1.2 (https://yaml.org/spec/1.2.2/, section 10.3) narrowed to one way of writing each thing:

    true false                          booleans (yes, no, on, off, True are text)
    null ~                              null; so is nothing at all after `key:`
    10 -3 010                           integers, always decimal (010 is 10)
    1.5 1e-3 .5 -2.E+3 .inf -.inf .nan  floats

Aliases, anchors, tags, merge keys, directives, several documents, repeated keys and keys that are not text
are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import yaml

from dltrain.config.text import quoted, shown
from dltrain.errors import ConfigError, printable
from dltrain.places import Place

KeyPath = tuple[str | int, ...]  # keys and list indices from the top: ("model", "layers", 2, "units")
Positions = dict[KeyPath, tuple[Place | str, Place | str]]  # of the key or the list's item, and of its value

DEEPEST = 64  # mappings and lists inside each other
LONGEST_NUMBER = 100  # characters

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL: Mapping[str, bool | float | None] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
    **{f"{sign}.{inf}": float(f"{sign}inf") for sign in ("", "+", "-") for inf in ("inf", "Inf", "INF")},
    **{f".{nan}": float("nan") for nan in ("nan", "NaN", "NAN")},
}
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # escapes can write them, but no path or name can hold them

# What PyYAML says -> what to do about it.
_FIXES = {
    "mapping values are not allowed": "check the indentation, and quote text that holds ': '",
    "could not find expected ':'": "write 'key: value', with a space after the colon",
    "expected <block end>": "begin all keys of one mapping, all items of one list, in the same column",
    "while scanning a quoted scalar": "close the quotes",
    "expected ',' or": "separate by commas and close the bracket",
    "cannot start any token": "put quotes around the text",
}


def plain_scalar(text: str) -> bool | int | float | str | None:
    """The value of an unquoted scalar. A number that no float can hold, or of absurd length: ValueError."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    if not _FLOAT.fullmatch(text):
        return text
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"it has {len(text)} characters")
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("it is too large for a float")
    return number


def read_yaml(text: str, place: Callable[[int, int], Place | str]) -> tuple[Any, Positions]:
    """The value of a YAML text of one document, and the places of all its keys, items and values.

    Arguments:
        text: the YAML; empty text is null.
        place: (line, column), both from 1 -> the place that an error names.

    Raises:
        ConfigError: the first thing that is not strict YAML.
    """
    return _Reader(text, place).read()


class _Reader:
    """Walks over the events of one text, which PyYAML parses lazily: not beyond the first error."""

    def __init__(self, text: str, place: Callable[[int, int], Place | str]) -> None:
        self.text, self.place = text, place
        self.positions: Positions = {}

    def read(self) -> tuple[Any, Positions]:
        try:
            self.loader = yaml.SafeLoader(self.text)
            return self._document(), self.positions
        except yaml.reader.ReaderError as error:  # checked over the whole text, before any event
            lines = self.text[: error.position].split("\n")
            raise ConfigError(
                f"character {self.text[error.position]!r} cannot be in YAML",
                where=self.place(len(lines), len(lines[-1]) + 1),
                fix="remove it; a config is plain text in UTF-8",
            ) from None
        except yaml.MarkedYAMLError as error:
            self._refuse_syntax(error)
        except ConfigError:
            raise
        except (ValueError, OverflowError) as error:  # PyYAML on an escape such as "\UFFFFFFFF"
            why = printable(str(error))
            self._refuse(self.loader.get_mark(), "not valid YAML", why=why, fix="correct the escape")

    def _refuse_syntax(self, error: yaml.MarkedYAMLError) -> NoReturn:
        mark = error.problem_mark or self.loader.get_mark()
        if error.context_mark and re.search("end of stream|stream end", error.problem or ""):
            mark = error.context_mark  # the bracket or quote that is not closed
        if self.text[mark.index : mark.index + 1] == "\t":
            self._refuse(mark, "a tab where YAML takes only spaces", fix="use spaces")
        problem = printable(", ".join(part for part in (error.context, error.problem) if part))
        fix = next((fix for said, fix in _FIXES.items() if said in problem), "correct it there")
        self._refuse(mark, "not valid YAML", why=problem, fix=fix)

    def _document(self) -> Any:
        self._next()  # StreamStart
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            self.positions[()] = (self.place(1, 1), self.place(1, 1))
            return None
        if event.version or event.tags:
            self._refuse_feature(event, "a YAML directive (%)", "remove it")
        value = self._value(self._next(), ())
        self._next()  # DocumentEnd
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            self._refuse_feature(event, "a second YAML document (---)", "keep one document a file")
        return value

    def _value(self, event: Any, path: KeyPath, key: Any = None) -> Any:
        """The value that begins with `event`; `key` is the event of its key, if it has one."""
        self.positions[path] = (self._at((key or event).start_mark), self._at(event.start_mark))
        self._check_features(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if len(path) >= DEEPEST:
            self._refuse(event.start_mark, f"nested deeper than {DEEPEST} levels", fix="take levels away")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        return self._mapping(path)

    def _list(self, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(key_event := self._next(), yaml.MappingEndEvent):
            key = self._key(key_event)
            if key in mapping:
                why = f"the first is at {self.positions[*path, key][0]}"
                what, fix = f"key {quoted(key)} is given twice", "keep one of them"
                self._refuse(key_event.start_mark, what, why=why, fix=fix)
            mapping[key] = self._value(self._next(), (*path, key), key_event)
        return mapping

    def _key(self, event: Any) -> str:
        self._check_features(event)
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(event.start_mark, "a list or mapping as a key", fix="make the key one word")
        if event.value == "<<" and not event.style:
            self._refuse_feature(event, "a merge key (<<)", "write the keys out")
        key = self._scalar(event)
        if not isinstance(key, str):
            fix = f"keys are names; if it must be one, put it in quotes: {event.value!r}"
            self._refuse(event.start_mark, f"key {shown(key)} is not text", fix=fix)
        return key

    def _scalar(self, event: Any) -> bool | int | float | str | None:
        text: str = event.value
        if _NO_TEXT.search(text):
            what, why = "text with a character that cannot be printed or encoded", f"it is {quoted(text)}"
            self._refuse(event.start_mark, what, why=why, fix="remove the escape")
        if event.style:  # quoted, or a block of text
            return text
        try:
            return plain_scalar(text)
        except ValueError as error:
            what, fix = f"number {quoted(text)} cannot be read", "write one that a float can hold"
            self._refuse(event.start_mark, what, why=str(error), fix=fix)

    def _check_features(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._refuse_feature(event, f"an alias (*{printable(str(event.anchor))})", "write the value out")
        if event.anchor is not None:
            what = f"an anchor (&{printable(event.anchor)})"
            self._refuse_feature(event, what, "write the value out at each place")
        if event.tag is not None:
            self._refuse_feature(event, f"a tag ({printable(event.tag)})", "remove it")

    def _refuse_feature(self, event: Any, what: str, fix: str) -> NoReturn:
        self._refuse(event.start_mark, f"{what} is not used in a config", fix=fix)

    def _refuse(self, mark: Any, what: str, *, why: str = "", fix: str) -> NoReturn:
        raise ConfigError(what, where=self._at(mark), why=why, fix=fix) from None

    def _next(self) -> Any:
        return self.loader.get_event()  # type: ignore[no-untyped-call]

    def _at(self, mark: Any) -> Place | str:
        return self.place(mark.line + 1, mark.column + 1)
