"""A class whose fields are the keys of a mapping in YAML: strict, immutable, clear about what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, ClassVar, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from dltrain.config.document import Document
from dltrain.config.problems import config_error
from dltrain.config.text import counted
from dltrain.errors import ConfigError

S = TypeVar("S", bound="Section")

SMALLEST, LARGEST = 1e-30, 1e30  # what float32 holds, with room for a product


class Section(BaseModel):
    """A mapping of known keys, such as `train:`. Immutable; equal when all fields are.

    Types are strict: an integer is taken for a float, nothing else is converted (True is no 1, "1" no 1, 3.0
    no 3); lists are taken for tuples and text for paths, for YAML has neither. nan and infinity are refused
    unless the field allows them (`Field(allow_inf_nan=True)`); so are integers that int64, and floats that
    float32, cannot hold. Every field has a description; errors and editors show it.

    A validator that finds several keys in conflict raises ConfigError; its `where` is the `Key` to point at,
    which begins in this section.

    Raises:
        ConfigError: arguments are wrong, all of them together.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        defer_build=True,
        ser_json_inf_nan="constants",
    )

    component_kind: ClassVar[str] = ""  # empty for what is no component
    component_name: ClassVar[str] = ""  # empty for an abstract class

    def __init__(self, /, *values: Any, **keys: Any) -> None:
        if self.is_abstract():
            raise ConfigError(f"{type(self).__name__} is abstract", fix="make one of its subclasses")
        if values:
            keys = dict(**self._named(values), **keys)  # TypeError for one that is given twice
        try:
            super().__init__(**keys)
        except ValidationError as error:
            document = Document(keys, source=type(self).__name__)
            raise config_error(type(self), document, error) from None

    # Validation goes past `__init__`, so that errors inside errors keep their places.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def _named(cls, values: Sequence[Any]) -> dict[str, Any]:
        """Values that were given without a name: of the fields with `kw_only=False`, in their order."""
        names = [name for name, field in cls.model_fields.items() if field.kw_only is False]
        if len(values) > len(names):
            raise ConfigError(
                f"{cls.__name__} takes {counted(len(names), 'value')} without a name, not {len(values)}",
                fix=f"write key=value (keys: {', '.join(cls.model_fields)})",
            )
        return dict(zip(names, values, strict=False))

    @classmethod
    def is_abstract(cls) -> bool:
        """Whether it reads nothing itself."""
        return False

    @classmethod
    def class_for(cls, value: Any) -> type[Section] | None:
        """The class that reads `value`, None when none does."""
        return cls if isinstance(value, Mapping) else None

    @classmethod
    def registered(cls) -> Mapping[str, type[Self]]:
        """The components that a field annotated with this class takes, by name; none for a plain section."""
        return {}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return _lenient(handler(source))

    @field_validator("*")
    @classmethod
    def _refuse_extreme_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        wrong = ""
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            wrong, fix = "does not fit into 64 bits", "lower it"
        elif isinstance(value, float) and isfinite(value) and abs(value) > LARGEST:
            wrong, fix = "is too large", f"give one of size {LARGEST:g} or less"
        elif isinstance(value, float) and 0 < abs(value) < SMALLEST:
            wrong, fix = "is too small", f"give one of size {SMALLEST:g} or more"
        if wrong:
            raise ConfigError(f"{info.field_name} {wrong}", why=f"it is {value}", fix=fix)
        return value


def parse(cls: type[S], document: Document) -> S:
    """The `cls` that a document describes; for an abstract component class, the one that `name` chooses.

    Raises:
        ConfigError: all problems together, each with its place in the document.
    """
    try:
        return cls.model_validate(document.value)
    except ValidationError as error:
        raise config_error(cls, document, error) from None


def dump(section: Section) -> dict[str, Any]:
    """Plain data with every key written out, defaults too, which `parse` turns into an equal object again."""
    return section.model_dump(mode="json")


def _lenient(schema: Any) -> Any:
    """A strict schema of pydantic, changed so that it takes lists for tuples and text for paths."""
    if isinstance(schema, dict):
        if schema.get("type") in ("tuple", "lax-or-strict"):
            schema["strict"] = False
        for key in schema.keys() - {"default", "metadata", "serialization"}:
            _lenient(schema[key])
    elif isinstance(schema, list):
        for item in schema:
            _lenient(item)
    return schema
