"""pydantic's errors, found again in the user's data, in words that say what is expected there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from dltrain.config.strict_yaml import KeyPath
from dltrain.config.text import shown
from dltrain.errors import printable

if TYPE_CHECKING:
    from dltrain.config.section import Section


@dataclass(frozen=True)
class Fault:
    """One error of pydantic, found again in the user's data.

    Attributes:
        kind: pydantic's word for it, such as "missing".
        path: keys and indices, less pydantic's marks for the members of unions.
        value: what was found there.
        owner: the class that reads the mapping in which the last key stands; None where no class does.
        field: the owner's field of that key; None for an unknown key.
        limits: what pydantic's word leaves open, such as {"gt": 0}.
        cause: what a validator raised, or else pydantic's message.
    """

    kind: str
    path: KeyPath
    value: Any
    owner: type[Section] | None
    field: FieldInfo | None
    limits: Mapping[str, Any]
    cause: Exception | str

    @property
    def sections(self) -> list[type[Section]]:
        """The classes inside the field's annotation."""
        return list(sections_in(self.field.annotation)) if self.field else []

    @property
    def choices(self) -> list[Any]:
        """The values of all Literals inside the field's annotation."""
        return list(_choices(self.field.annotation)) if self.field else []

    @property
    def expected(self) -> str:
        """What the value must be ("a number", "greater than 0"); empty for errors of other sorts."""
        if self.kind not in _EXPECTED:
            return ""
        words = {key: _shortest(limit) for key, limit in self.limits.items()}
        choices = [shown(choice) for choice in self.choices]
        words["choices"] = f"one of {', '.join(choices)}" if len(choices) > 1 else self.limits.get("expected")
        words["s"] = "" if 1 in self.limits.values() else "s"
        kinds = dict.fromkeys(section.component_kind for section in self.sections if section.component_kind)
        named = f"the name of a known {' or '.join(kinds)}, or a mapping with 'name'"
        words["section"] = named if kinds else "a mapping of keys"
        return _EXPECTED[self.kind].format(**words)


def faults(cls: type[Section], value: Any, error: ValidationError) -> list[Fault]:
    """What validating `value` as a `cls` met."""
    return [_fault(cls, value, details) for details in error.errors(include_url=False)]


def sections_in(annotation: Any) -> Iterator[type[Section]]:
    """The section classes inside an annotation such as `list[Layer] | None`."""
    if BaseModel in getattr(annotation, "__mro__", ()):
        yield annotation
    for argument in get_args(annotation):
        yield from sections_in(argument)


def _choices(annotation: Any) -> Iterator[Any]:
    for argument in get_args(annotation):
        if get_origin(annotation) is Literal:
            yield argument
        else:
            yield from _choices(argument)


def _fault(cls: type[Section], value: Any, details: ErrorDetails) -> Fault:
    """Follows pydantic's location down the data and, beside it, down the classes that read the data."""
    path: KeyPath = ()
    annotation: Any = cls
    owner: type[Section] | None = None
    field: FieldInfo | None = None
    for step in details["loc"]:
        model = next((m for base in sections_in(annotation) if (m := base.class_for(value))), None)
        if isinstance(value, list | tuple) and isinstance(step, int):
            path, value = (*path, step), value[step] if step < len(value) else None
        elif isinstance(value, Mapping) and step in value:
            owner, field = model, model.model_fields.get(str(step)) if model else None
            path, value = (*path, step), value[step]
            annotation = field.annotation if model and field else None if model else annotation
        elif model and step in model.model_fields:  # missing, maybe of a component given by its bare name
            owner, field = model, model.model_fields[str(step)]
            path, value, annotation = (*path, step), None, None
    limits = details.get("ctx", {})
    cause = limits.get("error") or printable(details["msg"])
    return Fault(details["type"], path, details["input"], owner, field, limits, cause)


def _shortest(limit: Any) -> Any:
    """0, not 0.0."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "path_type": "a path",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "none_required": "null",
    "model_type": "{section}",
    "model_attributes_type": "{section}",
    "literal_error": "{choices}",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "a list of at least {min_length} item{s}",
    "too_long": "a list of at most {max_length} item{s}",
    "string_too_short": "text of at least {min_length} character{s}",
    "string_too_long": "text of at most {max_length} character{s}",
    "string_pattern_mismatch": "text of the pattern {pattern}",
}
