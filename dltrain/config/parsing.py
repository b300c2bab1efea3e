"""Plain data -> sections and components, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, TypeVar

from pydantic import ValidationError

from dltrain.config.component import Component
from dltrain.config.document import Document
from dltrain.config.problems import config_error
from dltrain.config.section import Section

S = TypeVar("S", bound=Section)


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
    name = {"name": section.component_name} if isinstance(section, Component) else {}
    return name | {key: plain(getattr(section, key)) for key in type(section).model_fields}


def plain(value: Any) -> Any:
    """A field's value as YAML can hold it: dict, list, str, int, float, bool, None."""
    if isinstance(value, Section):
        return dump(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else value
