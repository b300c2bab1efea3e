"""pydantic's errors -> dltrain's: one line a problem, with place, key, value found, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from dltrain.aliases import key_elsewhere, key_here
from dltrain.config.component import Component
from dltrain.config.document import Document
from dltrain.config.section import Section
from dltrain.config.strict_yaml import KeyPath, plain_scalar
from dltrain.config.text import counted, nearest, printable, quoted, shown
from dltrain.errors import ConfigError
from dltrain.places import Key

MOST_PROBLEMS = 100  # that are explained; who has more began with a wrong file


def config_error(cls: type[Section], document: Document, error: ValidationError) -> ConfigError:
    """One ConfigError with a line for each problem that validating `document` as a `cls` met.

    Of more than `MOST_PROBLEMS`, the last line says how many there are.
    """
    faults = [_locate(cls, document.value, details) for details in error.errors(include_url=False)]
    problems: list[ConfigError] = []
    by_path: dict[KeyPath, list[_Fault]] = {}
    order = {path: index for index, path in enumerate(document.positions)}  # as in the file
    faults.sort(key=lambda fault: max(order.get(fault.path[:n], 0) for n in range(len(fault.path) + 1)))
    for fault in faults:
        by_path.setdefault(fault.path, []).append(fault)
    enclosing = {path[:n] for path in by_path for n in range(len(path))}
    for done, (path, alternatives) in enumerate(by_path.items()):
        if len(problems) >= MOST_PROBLEMS:
            more = f"and {counted(len(by_path) - done, 'more wrong key')}"
            problems.append(ConfigError(more, where=document.source, fix="correct the first ones first"))
            break
        wanted = [fault for fault in alternatives if fault.expected is not None]
        if wanted and path not in enclosing:  # the types of a union each complain: say together what is taken
            problems.append(_unexpected(document, wanted))
        problems.extend(_other(document, fault) for fault in alternatives if fault.expected is None)
    return ConfigError.together(problems)


@dataclass(frozen=True)
class _Fault:
    """One error of pydantic, found again in the user's data."""

    details: ErrorDetails
    path: KeyPath  # the keys and indices of pydantic's location, less its marks for members of unions
    owner: type[Section] | None  # the class that reads the mapping in which the last key stands
    field: FieldInfo | None  # the owner's field of that key

    @property
    def expected(self) -> str | None:
        """What the value must be ("a number", "greater than 0"), None for errors of other sorts."""
        expectation = _EXPECTED.get(self.details["type"])
        return expectation(self) if expectation else None

    @property
    def dotted(self) -> str:
        return printable(".".join(str(step) for step in self.path))

    @property
    def owner_label(self) -> str:
        """` of optimizer 'adam'`, ` of 'train'`, or nothing at the top."""
        if self.owner and issubclass(self.owner, Component):
            return f" of {self.owner.component_kind} {quoted(self.owner.component_name)}"
        return f" of {quoted('.'.join(str(step) for step in self.path[:-1]))}" if self.path[:-1] else ""

    @property
    def description(self) -> str:
        text = (self.field.description or "").rstrip(".") if self.field else ""
        return f" ({text})" if text else ""


def _locate(cls: type[Section], value: Any, details: ErrorDetails) -> _Fault:
    """Follows pydantic's location down the data and, beside it, down the classes that read the data."""
    path: KeyPath = ()
    annotation: Any = cls
    owner: type[Section] | None = None
    field: FieldInfo | None = None
    for step in details["loc"]:
        model = next((m for base in _sections(annotation) if (m := base.class_for(value))), None)
        if isinstance(value, list | tuple) and isinstance(step, int):
            path, value = (*path, step), value[step] if step < len(value) else None
        elif isinstance(value, Mapping) and step in value:
            owner, field = model, model.model_fields.get(str(step)) if model else None
            path, value = (*path, step), value[step]
            annotation = field.annotation if model and field else None if model else annotation
        elif model and step in model.model_fields:  # missing, maybe of a component given by its bare name
            owner, field = model, model.model_fields[str(step)]
            path, value, annotation = (*path, step), None, None
    return _Fault(details, path, owner, field)


def _sections(annotation: Any) -> Iterator[type[Section]]:
    """The section classes inside an annotation such as `list[Layer] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)


def _choices(annotation: Any) -> Iterator[Any]:
    """The values of all Literals inside an annotation."""
    for argument in get_args(annotation):
        if get_origin(annotation) is Literal:
            yield argument
        else:
            yield from _choices(argument)


def _unexpected(document: Document, faults: list[_Fault]) -> ConfigError:
    """The value at a path is of none of the types, or outside the range, that its key takes."""
    fault = faults[0]
    value = fault.details["input"]
    wanted = dict.fromkeys(fault.expected or "" for fault in faults)
    if "a number" in wanted:
        wanted.pop("an integer", None)
    expected = " or ".join(wanted)
    return ConfigError(
        f"{fault.dotted or 'the config'} must be {expected}",
        where=document.value_position(fault.path),
        why=f"it is {shown(value)}",
        fix=_hint(faults, value)
        or f"give {_NUMBER.get(fault.details['type'], '')}{expected}{fault.description}",
    )


def _hint(faults: list[_Fault], value: Any) -> str | None:
    """The likely slip behind a wrong type."""
    types = {fault.details["type"] for fault in faults}
    choices = [choice for fault in faults if fault.field for choice in _choices(fault.field.annotation)]
    if isinstance(value, str):
        near = nearest(value, (choice for choice in choices if isinstance(choice, str)))
        if near:
            return f"did you mean {quoted(near)}?"
        if "bool_type" in types and value.lower() in _SAID_FOR_BOOLEANS:
            return f"write {_SAID_FOR_BOOLEANS[value.lower()]}"
        if types & {"int_type", "float_type", "bool_type"} and _is_unquoted_other(value):
            return "write it without quotes"
    if types == {"int_type"} and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    if "model_type" in types:
        return _how_to_write_section(faults)
    if types & {"list_type", "tuple_type"} and isinstance(value, str | int | float):
        return f"write [{value}]" if re.fullmatch(r"[\w.-]+", str(value)) else "put it in brackets: [...]"
    return None


def _how_to_write_section(faults: list[_Fault]) -> str | None:
    for section in (s for fault in faults if fault.field for s in _sections(fault.field.annotation)):
        if issubclass(section, Component):
            return f"known: {', '.join(Component.registered(section))}"
        return f"write its keys below it, 'key: value' a line (keys: {', '.join(section.model_fields)})"
    return None


_SAID_FOR_BOOLEANS = {
    "yes": "true",
    "on": "true",
    "true": "true",
    "no": "false",
    "off": "false",
    "false": "false",
}


def _is_unquoted_other(text: str) -> bool:
    """Whether the text, written without quotes, would be a number or boolean."""
    try:
        return not isinstance(plain_scalar(text), str | None)
    except ValueError:
        return False


def _other(document: Document, fault: _Fault) -> ConfigError:
    """Unknown and missing keys, and what a validator or dltrain itself raised."""
    kind = fault.details["type"]
    if kind == "extra_forbidden":
        return _unknown_key(document, fault)
    if kind == "missing" and isinstance(fault.path[-1], int):
        what = f"{printable('.'.join(str(step) for step in fault.path[:-1]))} has too few items"
        return ConfigError(
            what, where=document.value_position(fault.path[:-1]), fix=f"add one{fault.description}"
        )
    if kind == "missing":
        what = f"key {quoted(str(fault.path[-1]))}{fault.owner_label} is missing"
        return ConfigError(what, where=document.position(fault.path), fix=f"add it{fault.description}")
    raised = fault.details.get("ctx", {}).get("error")
    if isinstance(raised, ConfigError):
        path = (*fault.path, *raised.where.path) if isinstance(raised.where, Key) else fault.path
        return ConfigError(raised.what, where=document.value_position(path), why=raised.why, fix=raised.fix)
    return ConfigError(
        f"{fault.dotted or 'the config'} is not valid",
        where=document.value_position(fault.path),
        why=printable(str(raised or fault.details["msg"])),
    )


def _unknown_key(document: Document, fault: _Fault) -> ConfigError:
    key = str(fault.path[-1])
    owner = fault.owner
    known = list(owner.model_fields) if owner else []
    listed = f"keys: {', '.join(known)}" if known else "it has no keys"
    here = key_here(key, known) or (owner and _key_below(owner, key)) or key_elsewhere(key)
    near = nearest(key, known)
    if here:
        fix = f"write {here} instead ({listed})"
    elif near:
        fix = f"did you mean {quoted(near)}? ({listed})"
    else:
        fix = listed
    what = f"unknown key {quoted(key)}{fault.owner_label}"
    return ConfigError(what, where=document.position(fault.path), fix=fix)


def _key_below(owner: type[Section], key: str) -> str | None:
    """Where below `owner` there is such a key: `train.epochs`; None if nowhere."""
    for name, field in owner.model_fields.items():
        for section in _sections(field.annotation):
            readers: Iterable[type[Section]] = [section]
            if issubclass(section, Component):
                readers = Component.registered(section).values()
            if any(key in reader.model_fields for reader in readers):
                return f"{name}.{key}"
    return None


def _component_or_mapping(fault: _Fault) -> str:
    annotation = fault.field.annotation if fault.field else None
    kinds = {s.component_kind: None for s in _sections(annotation) if issubclass(s, Component)}
    return (
        f"the name of a known {' or '.join(kinds)}, or a mapping with 'name'"
        if kinds
        else "a mapping of keys"
    )


def _one_of(fault: _Fault) -> str:
    choices = [shown(choice) for choice in _choices(fault.field.annotation)] if fault.field else []
    return f"one of {', '.join(choices)}" if len(choices) > 1 else f"{fault.details['ctx']['expected']}"


def _limit(phrase: str, name: str) -> Callable[[_Fault], str]:
    """The limit in its shortest form: 0, not 0.0."""

    def expectation(fault: _Fault) -> str:
        limit = fault.details["ctx"][name]
        return f"{phrase} {int(limit) if isinstance(limit, float) and limit.is_integer() else limit}"

    return expectation


def _length(phrase: str, name: str, noun: str) -> Callable[[_Fault], str]:
    return lambda fault: f"{phrase} {counted(fault.details['ctx'][name], noun)}"


def _word(phrase: str) -> Callable[[_Fault], str]:
    return lambda fault: phrase


_EXPECTED: Mapping[str, Callable[[_Fault], str]] = {
    "int_type": _word("an integer"),
    "float_type": _word("a number"),
    "finite_number": _word("a finite number"),
    "string_type": _word("text"),
    "path_type": _word("a path"),
    "bool_type": _word("true or false"),
    "list_type": _word("a list"),
    "tuple_type": _word("a list"),
    "dict_type": _word("a mapping"),
    "none_required": _word("null"),
    "model_type": _component_or_mapping,
    "model_attributes_type": _component_or_mapping,
    "literal_error": _one_of,
    "greater_than": _limit("greater than", "gt"),
    "greater_than_equal": _limit("at least", "ge"),
    "less_than": _limit("less than", "lt"),
    "less_than_equal": _limit("at most", "le"),
    "multiple_of": _limit("a multiple of", "multiple_of"),
    "too_short": _length("a list of at least", "min_length", "item"),
    "too_long": _length("a list of at most", "max_length", "item"),
    "string_too_short": _length("text of at least", "min_length", "character"),
    "string_too_long": _length("text of at most", "max_length", "character"),
    "string_pattern_mismatch": _limit("text of the pattern", "pattern"),
}

# What makes a noun of the expectation: "a number greater than 0", "a number of at least 1".
_NUMBER = {
    "greater_than": "a number ",
    "less_than": "a number ",
    "greater_than_equal": "a number of ",
    "less_than_equal": "a number of ",
}
