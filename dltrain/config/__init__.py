"""Configs: strict YAML with positions, overrides, and the classes whose fields are the keys.

Importing this package imports pydantic and yaml; whoever needs it only sometimes imports it late.
"""

from dltrain.config.component import Component
from dltrain.config.document import Document, load_document, parse_document
from dltrain.config.json_schema import json_schema
from dltrain.config.overrides import apply_overrides
from dltrain.config.section import Section, dump, parse
from dltrain.config.writer import to_yaml

__all__ = [
    "Component",
    "Document",
    "Section",
    "apply_overrides",
    "dump",
    "json_schema",
    "load_document",
    "parse",
    "parse_document",
    "to_yaml",
]
