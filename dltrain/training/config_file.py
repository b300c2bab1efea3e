"""Reading the config of a run from a file, and errors that name its file and line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dltrain.config import Document, apply_overrides, load_document, parse
from dltrain.errors import DltrainError
from dltrain.places import Place
from dltrain.training.run_config import RunConfig


def load_config(path: Path, overrides: Sequence[str]) -> tuple[Document, RunConfig]:
    """The config in a file with overrides applied, as a document and parsed.

    Raises:
        ConfigError: all problems together.
    """
    document = apply_overrides(load_document(path), overrides)
    return document, parse(RunConfig, document)


@contextmanager
def located(document: Document) -> Iterator[None]:
    """Puts the file's positions in place of the config's keys in the errors of the block."""
    try:
        yield
    except DltrainError as error:
        for problem in error.problems:
            if isinstance(problem.where, Place):
                problem.where = problem.where.resolved(lambda key: f"{document.position(key.path)} ({key})")
        raise
