"""Prints, as JSON, versions of the distributions named on the command line, and their size on disk with all
that they require."""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
from importlib import metadata
from pathlib import Path


def required(names: list[str]) -> dict[str, metadata.Distribution]:
    """The installed ones among the named distributions and everything they require without extras."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # required on other platforms only, or not asked for
            continue
        for requirement in found[name].requires or []:
            if "extra ==" not in requirement:
                waiting.append(re.match(r"[\w.-]+", requirement)[0])
    return found


def size_of(paths: set[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())


def below(folder: Path) -> set[Path]:
    return {Path(place) / name for place, _, names in os.walk(folder) for name in names}


distributions = required(sys.argv[1:])
files = {Path(each.locate_file(file)) for each in distributions.values() for file in each.files or []}
if "dltrain-numpy" in distributions:  # installed editable, its files are elsewhere
    import dltrain

    files |= below(Path(dltrain.__file__).parent)
site = Path(sysconfig.get_paths()["purelib"])
print(
    json.dumps(
        {
            "required_bytes": size_of(files),
            "versions": {name: distributions[name].version for name in sys.argv[1:] if name in distributions},
            "site_packages_bytes": size_of(below(site)),
        }
    )
)
