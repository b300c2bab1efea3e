"""What the sides' environments hold: versions and sizes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from processes import SCRIPTS, python_of, run

DISTRIBUTIONS = {
    "dltrain": ["dltrain-numpy", "numpy"],
    "torch": ["torch", "numpy"],
    "keras": ["keras", "tensorflow", "tensorflow-cpu", "numpy"],
}


def installed(options: argparse.Namespace, side: str, folder: str) -> dict[str, Any]:
    """`versions`, `required_bytes` and `site_packages_bytes` of a side; see installed_size.py."""
    command = [python_of(options.peer, side), str(SCRIPTS / "installed_size.py"), *DISTRIBUTIONS[side]]
    return json.loads(run(command, options.threads, folder).output)


def versions_of(sides: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Of all sides; NumPy's is the one that dltrain, the first of them, runs on."""
    found: dict[str, str] = {}
    for side in sides.values():
        found = side["versions"] | found
    return found
