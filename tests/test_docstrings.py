"""The one form of docstrings, beyond what ruff checks: which sections there are, where errors are listed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "dltrain"
SECTIONS = {"Arguments", "Attributes", "Returns", "Yields", "Raises"}
ERRORS_IN_A_SENTENCE = re.compile(r"^\s*(Raises|Errors)\b(?!:$)", re.MULTILINE)
PLACES = [  # that keep to it
    "config",
    "__init__.py",
    "aliases.py",
    "errors.py",
    "places.py",
    "summary.py",
    "runs/api.py",
    "training/config_file.py",
]


def faults(text: str) -> list[str]:
    found = [f"section {head}" for head in re.findall(r"^ *([A-Z][a-z]+):$", text, re.MULTILINE)]
    return [head for head in found if head.split()[1] not in SECTIONS] + ERRORS_IN_A_SENTENCE.findall(text)


def docstrings(path: Path) -> list[tuple[str, str]]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [(getattr(node, "name", path.stem), node) for node in nodes if isinstance(node, kinds)]
    return [(name, ast.get_docstring(node) or "") for name, node in found]


@pytest.mark.parametrize("place", PLACES)
def test_docstrings_have_one_form(place: str) -> None:
    files = list((PACKAGE / place).glob("*.py")) or [PACKAGE / place]
    wrong = [
        f"{path}: {name}: {found}"
        for path in files
        for name, text in docstrings(path)
        for found in faults(text)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "Reads.\n\nRaises RunError when it is damaged.",
        "Reads.\n\nErrors: ConfigError for all.",
        "Reads.\n\nArgs:\n    path: of the file.",
        "Reads.\n\nErrors:\n    RunError: it is damaged.",
    ],
)
def test_other_forms_are_found(text: str) -> None:
    assert faults(text)
    assert not faults("Reads.\n\nArguments:\n    path: of it.\n\nRaises:\n    RunError: it is damaged.")
