"""What is packed: the source distribution has all that the README links to."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_source_distribution_has_what_the_readme_links_to() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packed = set(project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    linked = re.findall(r"\]\(([^):#]+)[^):]*\)", (ROOT / "README.md").read_text())
    assert {"examples", "ARCHITECTURE.md"} <= set(linked)
    assert {link.split("/")[0] for link in linked} <= packed | {"data"}  # the images are downloaded
