"""What `fit` and `validate` share: reading a config, and errors that name its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dltrain.config import Document, apply_overrides, load_document, parse
from dltrain.errors import ConfigError, DivergedError, GraphError
from dltrain.training.run_config import RunConfig


def load_config(path: Path, overrides: Sequence[str]) -> tuple[Document, RunConfig]:
    """The config in a file with overrides applied, as a document and parsed.

    Raises ConfigError with all problems.
    """
    document = apply_overrides(load_document(path), overrides)
    return document, parse(RunConfig, document)


@contextmanager
def located(document: Document) -> Iterator[None]:
    """Puts file, line and column before the config's keys that errors of building and of running name."""
    try:
        yield
    except (ConfigError, GraphError, DivergedError) as error:
        error.where = ", ".join(_place(key, document) for key in error.where.split(", "))
        raise


def _place(key: str, document: Document) -> str:
    """`file:line:column (key)`, if `key` is one such as `model.layers[2].units`; else `key` itself."""
    steps = re.findall(r"[a-z_]+|\d+", key)
    if not re.fullmatch(r"[a-z_]+(\.[a-z_]+|\[\d+\])*", key) or steps[0] not in RunConfig.model_fields:
        return key
    path = tuple(int(step) if step.isdigit() else step for step in steps)
    return f"{document.position(path)} ({key})"
