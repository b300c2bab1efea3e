"""`dltrain fit` under strace, from the beginning of one of its saves on; run in forked processes."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from reliability.faulty_fit import fit
from reliability.fork_server import tell

from dltrain.runs.reporter import Reporter

# What changes files, and opens them; not every machine has all of these ("?").
CALLS = (
    "?open,openat,write,fsync,ftruncate,?rename,?renameat,?renameat2,?unlink,unlinkat,?mkdir,mkdirat,?rmdir"
)

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None or subprocess.run(["strace", "-o", "/dev/null", "true"]).returncode != 0,
    reason="strace is not installed (Debian: apt-get install strace), or may not trace here",
)

_PR_SET_PTRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)
_SAVED = "the save is done"


def fit_under_strace(words: Sequence[str], save: int, log: str, inject: str | None = None) -> int:
    """`dltrain fit WORDS` whose calls are traced into the file `log` once its save of that number begins.

    Arguments:
        inject: of strace's option -e: which call fails, or which signal comes at it.
    """
    saves, original = 0, Reporter.save

    def traced(reporter: Reporter, *arguments: Any) -> Path:
        nonlocal saves
        saves += 1
        if saves == save:
            _attach(log, inject)
        path = original(reporter, *arguments)
        if saves == save:
            tell(_SAVED, saves)
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reporter, "save", traced)
        return fit(words)


def calls_of_the_save(log: Path) -> Counter[str]:
    """How often each call was made between the beginning of the save and its end."""
    save, found, _ = log.read_text().partition(_SAVED)
    assert found
    lines = save.splitlines()[:-1]
    return Counter(match[1] for line in lines if (match := re.match(r"(\w+)\(", line)))


def calls_to_the_end(log: Path) -> Counter[str]:
    """How often each call was made between the beginning of the save and the end of the process."""
    return Counter(re.findall(r"^(\w+)\(", log.read_text(), re.MULTILINE))


def _attach(log: str, inject: str | None) -> None:
    """Returns once this process is traced."""
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANY, 0, 0, 0)  # some systems let only parents trace
    options = ["-s", "100", "-e", f"trace={CALLS}", *(["-e", f"inject={inject}"] if inject else [])]
    command = ["strace", "-o", log, *options, "-p", str(os.getpid())]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "attached" in line, line
