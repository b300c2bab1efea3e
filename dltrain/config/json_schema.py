"""The JSON Schema of a config, for editors: from the same fields that parse it."""

from __future__ import annotations

import inspect
from typing import Any

from dltrain.config.component import KIND_MARK, Component
from dltrain.config.section import Section

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(cls: type[Section]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `parse(cls, ...)` takes, of all components registered by now.

    A kind is a definition of its own: the names that need no keys, or one of its components with its keys.
    """
    definitions: dict[str, Any] = {}
    schema = _schema_of(cls, definitions)
    return {"$schema": DIALECT, **schema, "$defs": dict(sorted(definitions.items()))}


def _schema_of(cls: type[Section], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of `cls`; what it refers to is put into `definitions`."""
    if issubclass(cls, Component) and cls.is_abstract():
        return _reference_to_kind(cls, definitions)
    schema = cls.model_json_schema()
    for name, definition in schema.pop("$defs", {}).items():
        definitions[name] = _with_kinds(definition, definitions)
    resolved: dict[str, Any] = _with_kinds(schema, definitions)
    return resolved


def _with_kinds(schema: Any, definitions: dict[str, Any]) -> Any:
    """`schema` with each mark for a kind turned into a reference to the kind's definition."""
    if isinstance(schema, list):
        return [_with_kinds(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    resolved = {key: _with_kinds(item, definitions) for key, item in schema.items() if key != KIND_MARK}
    base = schema.get(KIND_MARK)
    return {**_reference_to_kind(base, definitions), **resolved} if base else resolved


def _reference_to_kind(base: type[Component], definitions: dict[str, Any]) -> dict[str, Any]:
    """`$ref` to the definition of what a field annotated with an abstract class takes."""
    is_kind = base in Component.registered_kinds()
    name = base.component_kind if is_kind else f"{base.component_kind}.{base.__name__}"
    if name not in definitions:
        definitions[name] = {}  # known from here on: a component may hold others of its own kind
        classes = base.registered()
        bare = [
            name
            for name, found in classes.items()
            if not any(field.is_required() for field in found.model_fields.values())
        ]
        members: list[dict[str, Any]] = [{"enum": bare}] if bare else []
        for component_name, found in classes.items():
            member = f"{base.component_kind}:{component_name}"
            members.append({"$ref": f"#/$defs/{member}"})
            if member not in definitions:
                definitions[member] = _schema_of(found, definitions)
        definitions[name] = {"description": inspect.getdoc(base) or "", "anyOf": members}
    return {"$ref": f"#/$defs/{name}"}
