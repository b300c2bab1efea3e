"""Completion, as the shells ask for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With two runs, a folder that is none, and a command `dltrain` in bin/."""
    for name in ("mlp-1", "mlp-2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text("{}")
    (tmp_path / "runs" / "mlp-3").mkdir()
    (tmp_path / "config.yaml").write_text("")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "dltrain"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dltrain "$@"\n')
    command.chmod(0o755)
    return tmp_path


def shell(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | environment | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "--norc", "-c", script]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=60)


@bash
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("dltrain ev", ["eval"]),
        ("dltrain ", ["fit", "eval", "predict", "verify", "replay", "validate", "plan", "download-mnist"]),
        ("dltrain --", ["--debug", "--version", "--help"]),
        ("dltrain eval --sp", ["--split"]),
        ("dltrain eval mlp", ["mlp-1", "mlp-2"]),
        ("dltrain verify l", ["latest"]),
        ("dltrain fit --resume mlp", ["mlp-1", "mlp-2"]),
        ("dltrain eval mlp-1 --split v", ["validation"]),
        ("dltrain nothing x", []),
    ],
)
def test_in_bash(words: str, completed: list[str], folder: Path) -> None:
    """The function that bash calls for a word, after it has read what dltrain prints."""
    listed = words.split() + ([""] if words.endswith(" ") else [])
    script = f"""
        eval "$(_DLTRAIN_COMPLETE=bash_source dltrain)"
        COMP_WORDS=({" ".join(word or "''" for word in listed)}) COMP_CWORD={len(listed) - 1}
        _dltrain_completion dltrain; echo "${{COMPREPLY[*]}}"
    """
    done = shell(folder, script)
    assert done.stdout.split() == completed, done.stderr
    assert done.stderr == ""


@bash
@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_other_shells_are_given_a_script(name: str, folder: Path) -> None:
    done = shell(folder, f"_DLTRAIN_COMPLETE={name}_source dltrain")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_DLTRAIN_COMPLETE={name}_complete" in done.stdout


@bash
@pytest.mark.parametrize("value", ["", "x", "bash", "bash_complete", "zsh_complete", "bash_nothing"])
def test_what_no_shell_asks_is_one_line(value: str, folder: Path) -> None:
    done = shell(folder, "dltrain fit", _DLTRAIN_COMPLETE=value)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("dltrain: error: cannot complete: _DLTRAIN_COMPLETE: ")
