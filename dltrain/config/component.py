"""Components: the classes that a `name:` in YAML chooses.

    class Optimizer(Component, kind="optimizer"):
        '''What every optimizer has.'''

    class Adam(Optimizer, name="adam"):
        '''Adam (Kingma and Ba, 2015, algorithm 1).'''

        learning_rate: float = Field(default=1e-3, gt=0, description="size of a step")

A field annotated `Optimizer` then takes `adam`, `{name: adam, learning_rate: 0.01}` or an `Adam(...)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import (
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from dltrain.aliases import name_here
from dltrain.config.section import Section
from dltrain.config.text import did_you_mean, quoted
from dltrain.errors import ConfigError
from dltrain.places import TOP, Key, Places

KIND_MARK = "dltrain-kind"  # stands in a JSON Schema for "any component of this class"


class Component(Section):
    """A section that is chosen by its `name:`; a bare string X means `{name: X}`.

    `class Optimizer(Component, kind="optimizer")` makes a kind with a registry of its own,
    `class Adam(Optimizer, name="adam")` puts a class into it. A class with neither is abstract.
    """

    _kinds: ClassVar[list[type[Component]]] = []  # the base class of every kind
    _registry: ClassVar[dict[str, type[Component]]] = {}  # of the kind

    def __init_subclass__(cls, *, kind: str | None = None, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.component_name = name or ""
        if kind is not None:
            cls.component_kind, cls._registry = kind, {}
            Component._kinds.append(cls)
        if name is None:
            return
        if not cls.component_kind:
            raise TypeError(f"{cls.__name__} has a name, but none of its bases a kind")
        taken = cls._registry.get(name)
        # The same class defined again (a notebook's cell, a reloaded module) replaces itself.
        if taken and (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ConfigError(
                f"{cls.component_kind} {quoted(name)} exists already",
                where=f"{cls.__module__}.{cls.__qualname__}",
                why=f"it is {taken.__module__}.{taken.__qualname__}",
                fix="choose another name",
            )
        cls._registry[name] = cls

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if "name" in cls.model_fields:
            raise TypeError(f"{cls.__name__} has a field 'name', the key that chooses the component")

    @staticmethod
    def registered_kinds() -> dict[type[Component], dict[str, type[Component]]]:
        """The base class of every kind (`component_kind` is its word) -> name -> class."""
        return {base: base.registered() for base in Component._kinds}

    @classmethod
    def registered(cls) -> dict[str, type[Self]]:
        return {name: found for name, found in cls._registry.items() if issubclass(found, cls)}

    @classmethod
    def class_for(cls, value: Any) -> type[Component] | None:
        """The class that reads `value` (a name, or a mapping with `name`), None when none does."""
        name = value.get("name") if isinstance(value, Mapping) else value
        if name is None and isinstance(value, Mapping) and cls.component_name:
            return cls
        return cls.registered().get(name) if isinstance(name, str) else None

    @classmethod
    def is_abstract(cls) -> bool:
        return not cls.component_name

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        if cls.is_abstract():
            return core_schema.no_info_plain_validator_function(cls._choose)
        return super().__get_pydantic_core_schema__(source, handler)

    @classmethod
    def _choose(cls, value: Any) -> Any:
        """The component that `name:` chooses, with its keys read."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, str | Mapping):  # what pydantic itself would say of another class
            raise PydanticKnownError("model_type", {"class_name": cls.__name__})
        if (chosen := cls.class_for(value)) is None:
            raise cls._unknown(value)
        return chosen.model_validate(value)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        if cls.is_abstract():
            return {KIND_MARK: cls}
        written = handler.resolve_ref_schema(handler(schema))
        written["properties"] = {"name": {"const": cls.component_name}, **written.get("properties", {})}
        written["required"] = ["name", *written.get("required", [])]
        return written

    @model_serializer(mode="wrap")
    def _with_name(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"name": self.component_name, **handler(self)}

    @model_validator(mode="before")
    @classmethod
    def _without_name(cls, value: Any) -> Any:
        """The keys of a mapping less `name`, once it is seen to be the class's own."""
        if not isinstance(value, (str, Mapping)):
            return value
        if cls.class_for(value) is not cls:
            raise cls._unknown(value)
        keys = value if isinstance(value, Mapping) else {}
        return {key: item for key, item in keys.items() if key != "name"}

    def misfit(self, other: str, *keys: Key, why: str, fix: str) -> ConfigError:
        """That the component does not fit the `other` part of a config; `keys` are those that disagree."""
        what = f"{self.component_kind} {self.component_name} and {other} do not fit"
        return ConfigError(what, where=Places(*keys), why=why, fix=fix)

    @classmethod
    def _unknown(cls, value: str | Mapping[str, Any]) -> ConfigError:
        """What is wrong with a name that leads to no class; `where` is the key it stands in."""
        kind, known = cls.component_kind, cls.registered()
        listed = f"known: {', '.join(known)}"
        where, name = (TOP, value) if isinstance(value, str) else (Key("name"), value.get("name"))
        if name is None:
            return ConfigError(f"the {kind} has no name", fix=f"add 'name:' ({listed})")
        if not isinstance(name, str):
            return ConfigError(f"the name of the {kind} must be text", where=where, fix=listed)
        if here := name_here(name, known):
            fix = f"its name here is {quoted(here)}"
        else:
            fix = did_you_mean(name, known, listed)
        return ConfigError(f"unknown {kind} {quoted(name)}", where=where, fix=fix)
