"""What a command does not need, it does not import: start-up is most of the time of a short run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from run_helpers import softmax_config, write_data

NEVER = {
    "asyncio",
    "concurrent.futures",
    "google.protobuf",
    "http",
    "hypothesis",
    "matplotlib",
    "multiprocessing",
    "numpy.f2py",
    "numpy.ma",
    "numpy.testing",
    "pandas",
    "PIL",
    "pydantic.v1",
    "scipy",
    "ssl",
    "tensorboard",
    "tensorboardX",
    "tqdm",
    "unittest",
    "urllib.request",
    "xml",
}
EVENT_FILES = {"google.protobuf", "multiprocessing", "tensorboardX"}
PROGRAM = """
import sys
before = set(sys.modules)
from dltrain.cli.main import main
assert main(sys.argv[1:]) == 0
print("\\n", *sorted(sys.modules.keys() - before), sep="\\n")
"""


def imported(folder: Path, *words: str) -> set[str]:
    """The modules that a command imports."""
    command = [sys.executable, "-c", PROGRAM, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("\n\n")[-1].split())


def test_help_imports_nothing_but_itself(tmp_path: Path) -> None:
    for word in ("--help", "--version"):
        own = {"dltrain", "dltrain.cli", "dltrain.cli.main", "dltrain.cli.signals"}
        assert imported(tmp_path, word) <= own | {"__future__"}


def test_no_command_imports_what_it_does_not_use(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(softmax_config(write_data(tmp_path)))
    imported(tmp_path, "fit", "c.yaml", "--run-dir", "first")  # compiles the kernels, side by side
    fit = imported(tmp_path, "fit", "c.yaml", "--run-dir", "run")
    evaluated = imported(tmp_path, "eval", "run")
    validated = imported(tmp_path, "validate", "c.yaml")
    assert {"numpy", "pydantic", "safetensors", "dltrain.training.trainer"} <= fit
    assert fit & NEVER == EVENT_FILES
    assert evaluated & NEVER == set()
    assert validated & (NEVER | {"safetensors"}) == set()
