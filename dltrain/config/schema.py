"""Where pydantic is bent, and why; all else that is asked of it are classes with fields and validators.

1. Types are strict, but lists are taken for tuples and text for paths: YAML has neither (`_lenient`).
2. A field annotated with an abstract class takes the component that `name:` chooses; so says the JSON Schema.
3. `__init__` raises errors of dltrain, but validation goes past it, so that errors inside errors keep their
   places (`past_validation`).
4. pydantic's errors are found again in the user's data, and say in words what is expected there (`Fault`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, PydanticKnownError, core_schema

from dltrain.config.strict_yaml import KeyPath
from dltrain.config.text import shown
from dltrain.errors import printable

F = TypeVar("F", bound=Callable[..., None])

KIND_MARK = "dltrain-kind"  # stands in a JSON Schema for "any component of this class"


class Schema(BaseModel):
    """Base of sections and components, which say in plain methods what pydantic is bent to do."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        defer_build=True,
    )

    component_kind: ClassVar[str] = ""  # empty for what is no component
    component_name: ClassVar[str] = ""  # empty for an abstract class

    @classmethod
    def class_for(cls, value: Any) -> type[Schema] | None:
        """The class that reads `value`, None when none does."""
        return cls if isinstance(value, Mapping) else None

    @classmethod
    def chosen(cls, value: Any) -> type[Schema]:
        """The class that reads `value`, text or a mapping; ConfigError when none does."""
        raise NotImplementedError

    @classmethod
    def registered(cls) -> Mapping[str, type[Self]]:
        """The components that a field annotated with this class takes, by name; none for a plain section."""
        return {}

    @classmethod
    def is_abstract(cls) -> bool:
        """Whether it reads nothing itself."""
        return False

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        if cls.is_abstract():
            return core_schema.no_info_plain_validator_function(cls._choose)
        return _lenient(handler(source))

    @classmethod
    def _choose(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str | Mapping):  # what pydantic itself would say of another class
            raise PydanticKnownError("model_type", {"class_name": cls.__name__})
        return cls.chosen(value).model_validate(value)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        if cls.is_abstract():
            return {KIND_MARK: cls}
        written = handler.resolve_ref_schema(handler(schema))
        if cls.component_name:
            written["properties"] = {"name": {"const": cls.component_name}, **written.get("properties", {})}
            written["required"] = ["name", *written.get("required", [])]
        return written


def past_validation(init: F) -> F:
    """Tells pydantic to validate without going through this `__init__`."""
    init.__pydantic_base_init__ = True  # type: ignore[attr-defined]
    return init


def _lenient(schema: Any) -> Any:
    """A strict schema made to take lists for tuples and text for paths."""
    if isinstance(schema, dict):
        if schema.get("type") in ("tuple", "lax-or-strict"):
            schema["strict"] = False
        for key in schema.keys() - {"default", "metadata", "serialization"}:
            _lenient(schema[key])
    elif isinstance(schema, list):
        for item in schema:
            _lenient(item)
    return schema


@dataclass(frozen=True)
class Fault:
    """One error of pydantic, found again in the user's data.

    Attributes:
        kind: pydantic's word for it, such as "missing".
        path: keys and indices, less pydantic's marks for the members of unions.
        value: what was found there.
        owner: the class that reads the mapping in which the last key stands; None where no class does.
        field: the owner's field of that key; None for an unknown key.
        expected: what the value must be ("a number", "greater than 0"); empty for errors of other sorts.
        cause: what a validator raised, or else pydantic's message.
    """

    kind: str
    path: KeyPath
    value: Any
    owner: type[Schema] | None
    field: FieldInfo | None
    expected: str
    cause: Exception | str

    @property
    def sections(self) -> list[type[Schema]]:
        """The classes inside the field's annotation."""
        return list(sections_in(self.field.annotation)) if self.field else []

    @property
    def choices(self) -> list[Any]:
        """The values of all Literals inside the field's annotation."""
        return list(_choices(self.field.annotation)) if self.field else []


def faults(cls: type[Schema], value: Any, error: ValidationError) -> list[Fault]:
    """What validating `value` as a `cls` met."""
    return [_fault(cls, value, details) for details in error.errors(include_url=False)]


def sections_in(annotation: Any) -> Iterator[type[Schema]]:
    """The section classes inside an annotation such as `list[Layer] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        yield annotation
    for argument in get_args(annotation):
        yield from sections_in(argument)


def _choices(annotation: Any) -> Iterator[Any]:
    for argument in get_args(annotation):
        if get_origin(annotation) is Literal:
            yield argument
        else:
            yield from _choices(argument)


def _fault(cls: type[Schema], value: Any, details: ErrorDetails) -> Fault:
    """Follows pydantic's location down the data and, beside it, down the classes that read the data."""
    path: KeyPath = ()
    annotation: Any = cls
    owner: type[Schema] | None = None
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
    context = details.get("ctx", {})
    cause = context.get("error") or printable(details["msg"])
    fault = Fault(details["type"], path, details["input"], owner, field, "", cause)
    return fault if fault.kind not in _EXPECTED else replace(fault, expected=_expected(fault, context))


def _expected(fault: Fault, context: Mapping[str, Any]) -> str:
    choices = [shown(choice) for choice in fault.choices]
    words = {key: _shortest(limit) for key, limit in context.items()}
    words["choices"] = f"one of {', '.join(choices)}" if len(choices) > 1 else context.get("expected")
    words["s"] = "" if 1 in context.values() else "s"
    kinds = dict.fromkeys(section.component_kind for section in fault.sections if section.component_kind)
    named = f"the name of a known {' or '.join(kinds)}, or a mapping with 'name'"
    words["section"] = named if kinds else "a mapping of keys"
    return _EXPECTED[fault.kind].format(**words)


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
