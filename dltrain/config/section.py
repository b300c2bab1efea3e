"""A class whose fields are the keys of a mapping in YAML: strict, immutable, clear about what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from pydantic import ValidationError, ValidationInfo, field_validator

from dltrain.config.document import Document
from dltrain.config.problems import config_error
from dltrain.config.schema import Schema, past_validation
from dltrain.config.text import counted
from dltrain.errors import ConfigError

SMALLEST, LARGEST = 1e-30, 1e30  # what float32 holds, with room for a product


class Section(Schema):
    """A mapping of known keys, such as `train:`. Immutable; equal when all fields are.

    Types are strict: an integer is taken for a float, nothing else is converted (True is no 1, "1" no 1, 3.0
    no 3); lists are taken for tuples and text for paths. nan and infinity are refused unless the field allows
    them (`Field(allow_inf_nan=True)`); so are integers that int64, and floats that
    float32, cannot hold. Every field has a description; errors and editors show it.

    A validator that finds several keys in conflict raises ConfigError; its `where` is the `Key` to point at,
    which begins in this section.

    Raises:
        ConfigError: arguments are wrong, all of them together.
    """

    @past_validation
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

    @field_validator("*")
    @classmethod
    def _refuse_extreme_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ConfigError(
                f"{info.field_name} does not fit into 64 bits", why=f"it is {value}", fix="lower it"
            )
        if isinstance(value, float) and isfinite(value) and abs(value) > LARGEST:
            fix = f"give one of size {LARGEST:g} or less"
            raise ConfigError(f"{info.field_name} is too large", why=f"it is {value}", fix=fix)
        if isinstance(value, float) and 0 < abs(value) < SMALLEST:
            fix = f"give one of size {SMALLEST:g} or more"
            raise ConfigError(f"{info.field_name} is too small", why=f"it is {value}", fix=fix)
        return value
