"""All checks, one after the other, stopping at the first that fails: `python tests [pytest arguments]`."""

import subprocess
import sys
from pathlib import Path

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("pytest", "-n", "auto", "--maxprocesses", "4", *sys.argv[1:]),
)

for module, *arguments in CHECKS:
    print("==>", module, *arguments, flush=True)
    result = subprocess.run([sys.executable, "-m", module, *arguments], cwd=Path(__file__).parent.parent)
    if result.returncode:
        sys.exit(result.returncode)
