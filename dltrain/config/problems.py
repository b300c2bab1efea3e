"""What is wrong with a config: one line a problem, with place, key, value found, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dltrain.aliases import ELSEWHERE, key_here, ours
from dltrain.config.document import Document
from dltrain.config.faults import Fault, faults, sections_in
from dltrain.config.strict_yaml import KeyPath, plain_scalar
from dltrain.config.text import counted, did_you_mean, nearest, quoted, shown
from dltrain.errors import ConfigError, printable
from dltrain.places import Key

if TYPE_CHECKING:
    from dltrain.config.section import Section

MOST_PROBLEMS = 100  # that are explained; who has more began with a wrong file


def config_error(cls: type[Section], document: Document, error: ValidationError) -> ConfigError:
    """One ConfigError with a line for each problem that validating `document` as a `cls` met.

    Of more than `MOST_PROBLEMS`, the last line says how many there are.
    """
    order = {path: index for index, path in enumerate(document.positions)}  # as in the file
    by_path: dict[KeyPath, list[Fault]] = {}
    for fault in sorted(
        faults(cls, document.value, error),
        key=lambda fault: max(order.get(fault.path[:n], 0) for n in range(len(fault.path) + 1)),
    ):
        by_path.setdefault(fault.path, []).append(fault)
    enclosing = {path[:n] for path in by_path for n in range(len(path))}
    problems: list[ConfigError] = []
    for done, (path, alternatives) in enumerate(by_path.items()):
        if len(problems) >= MOST_PROBLEMS:
            more = f"and {counted(len(by_path) - done, 'more wrong key')}"
            problems.append(ConfigError(more, where=document.source, fix="correct the first ones first"))
            break
        wanted = [fault for fault in alternatives if fault.expected]
        if wanted and path not in enclosing:  # the types of a union each complain: say together what is taken
            problems.append(_unexpected(document, wanted))
        problems.extend(_other(document, fault) for fault in alternatives if not fault.expected)
    return ConfigError.together(problems)


def _unexpected(document: Document, faults: Sequence[Fault]) -> ConfigError:
    """The value at a path is of none of the types, or outside the range, that its key takes."""
    fault = faults[0]
    wanted = dict.fromkeys(fault.expected for fault in faults)
    if "a number" in wanted:
        wanted.pop("an integer", None)
    expected = " or ".join(wanted)
    noun = re.sub("^(?=greater|less)", "a number ", re.sub("^(?=at )", "a number of ", expected))
    return ConfigError(
        f"{_dotted(fault.path) or 'the config'} must be {expected}",
        where=document.value_position(fault.path),
        why=f"it is {shown(fault.value)}",
        fix=_hint(faults) or f"give {noun}{_description(fault)}",
    )


def _hint(faults: Sequence[Fault]) -> str | None:
    """The likely slip behind a wrong type."""
    value = faults[0].value
    kinds = {fault.kind for fault in faults}
    if isinstance(value, str):
        choices = (choice for fault in faults for choice in fault.choices if isinstance(choice, str))
        if near := nearest(value, choices):
            return f"did you mean {quoted(near)}?"
        if "bool_type" in kinds and value.lower() in _BOOLEANS:
            return f"write {_BOOLEANS[value.lower()]}"
        if kinds & {"int_type", "float_type", "bool_type"} and _is_unquoted_other(value):
            return "write it without quotes"
    if kinds == {"int_type"} and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    if "model_type" in kinds:
        for section in (section for fault in faults for section in fault.sections):
            if names := section.registered():
                return f"known: {', '.join(names)}"
            return f"write its keys below it, 'key: value' a line (keys: {', '.join(section.model_fields)})"
    if kinds & {"list_type", "tuple_type"} and isinstance(value, str | int | float):
        return f"write [{value}]" if re.fullmatch(r"[\w.-]+", str(value)) else "put it in brackets: [...]"
    return None


_BOOLEANS = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}


def _is_unquoted_other(text: str) -> bool:
    """Whether the text, written without quotes, would be a number or boolean."""
    try:
        return not isinstance(plain_scalar(text), str | None)
    except ValueError:
        return False


def _other(document: Document, fault: Fault) -> ConfigError:
    """Unknown and missing keys, and what a validator or dltrain itself raised."""
    key, cause = (fault.path or ("",))[-1], fault.cause
    if fault.kind == "extra_forbidden":
        what = f"unknown key {quoted(str(key))}{_owner(fault)}"
        return ConfigError(what, where=document.position(fault.path), fix=_right_key(str(key), fault.owner))
    if fault.kind == "missing" and isinstance(key, int):
        what = f"{_dotted(fault.path[:-1])} has too few items"
        where = document.value_position(fault.path[:-1])
        return ConfigError(what, where=where, fix=f"add one{_description(fault)}")
    if fault.kind == "missing":
        what = f"key {quoted(str(key))}{_owner(fault)} is missing"
        return ConfigError(what, where=document.position(fault.path), fix=f"add it{_description(fault)}")
    if isinstance(cause, ConfigError):
        path = (*fault.path, *cause.where.path) if isinstance(cause.where, Key) else fault.path
        return ConfigError(cause.what, where=document.value_position(path), why=cause.why, fix=cause.fix)
    return ConfigError(
        f"{_dotted(fault.path) or 'the config'} is not valid",
        where=document.value_position(fault.path),
        why=printable(str(cause)),
    )


def _right_key(key: str, owner: type[Section] | None) -> str:
    """What to do about a key that its section does not have."""
    known = list(owner.model_fields) if owner else []
    listed = f"keys: {', '.join(known)}" if known else "it has no keys"
    if here := key_here(key, known) or (owner and _key_below(owner, key)) or ours(key, ELSEWHERE):
        return f"write {here} instead ({listed})"
    return did_you_mean(key, known, listed)


def _key_below(owner: type[Section], key: str) -> str | None:
    """Where below `owner` there is such a key: `train.epochs`; None if nowhere."""
    for name, field in owner.model_fields.items():
        for section in sections_in(field.annotation):
            readers = section.registered().values() or [section]
            if any(key in reader.model_fields for reader in readers):
                return f"{name}.{key}"
    return None


def _dotted(path: KeyPath) -> str:
    return printable(".".join(str(step) for step in path))


def _owner(fault: Fault) -> str:
    """` of optimizer 'adam'`, ` of 'train'`, or nothing at the top."""
    if fault.owner and fault.owner.component_kind:
        return f" of {fault.owner.component_kind} {quoted(fault.owner.component_name)}"
    return f" of {quoted('.'.join(str(step) for step in fault.path[:-1]))}" if fault.path[:-1] else ""


def _description(fault: Fault) -> str:
    text = (fault.field.description or "").rstrip(".") if fault.field else ""
    return f" ({text})" if text else ""
