"""The tests that RELIABILITY.md names are there, and so are the long versions that it tells how to run."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "RELIABILITY.md").read_text()


def test_named_tests_exist() -> None:
    named = re.findall(r"`(\w+/test_\w+\.py)`", PAGE)
    assert len(named) > 15
    assert [name for name in named if not (TESTS / name).is_file()] == []


def test_all_tests_of_reliability_are_named() -> None:
    files = {f"reliability/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    assert {name for name in files if name not in PAGE} == {f"reliability/{Path(__file__).name}"}


def test_long_versions_exist() -> None:
    for name in re.findall(r"-m slow tests/(reliability/\S+\.py)", PAGE):
        assert "mark.slow" in (TESTS / name).read_text(), name
