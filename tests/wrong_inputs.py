"""What the tests of wrong inputs share: a right config to spoil, and what every refusal must look like."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from run_helpers import Dltrain

BASE = {
    "seed": "0",
    "dataset": "{name: npz, path: data.npz, validation_size: 10}",
    "model": "{name: mlp, hidden: [8]}",
    "cost": "cross_entropy",
    "optimizer": "{name: adam, learning_rate: 1e-2}",
    "train": "{epochs: 2, batch_size: 16}",
}
"""Of `c.yaml`, a key a line: `dataset` is line 2, `train` line 6."""

Refused = Callable[..., None]


def config(*lines: str) -> str:
    """The right config with `key: value` lines that replace its own, or follow as lines 7, 8, ..."""
    changed = dict(line.split(": ", 1) for line in lines)
    return "".join(f"{key}: {value}\n" for key, value in (BASE | changed).items())


def refusing(dltrain: Dltrain, folder: Path) -> Refused:
    """A function that runs a command line which must fail, and checks how."""

    def check(code: int, expected: str, *words: object, leaves: str = "") -> None:
        """
        Arguments:
            code: the exit code.
            expected: the lines on stderr, less `dltrain: error: `; `...` stands for any text in a line.
            words: the command line.
            leaves: the folder that it may leave behind or change; any other change is a failure.
        """
        before = files_in(folder, but=leaves)
        result = dltrain(*words)
        assert result.code == code, result
        pattern = "".join(f"dltrain: error: {line}\n" for line in expected.splitlines())
        regex = re.escape(pattern).replace(re.escape("..."), ".*")
        assert re.fullmatch(regex, result.err), f"\n{result.err} is not\n{pattern}"
        for line in result.err.splitlines():
            assert re.search(r"; \S", line), f"says not what to do: {line}"
        assert result.out == ""
        assert files_in(folder, but=leaves) == before

    return check


def files_in(folder: Path, but: str) -> dict[str, bytes]:
    """All files and folders below `folder` with their content, less those below `but`."""
    return {
        str(path): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not but or folder / but not in (path, *path.parents)
    }


def flipped(content: bytes, position: int) -> bytes:
    """The content with all bits of one byte changed."""
    return content[:position] + bytes([content[position] ^ 255]) + content[position + 1 :]
