"""`python -m dltrain` is the command `dltrain`."""

from __future__ import annotations

from dltrain.cli.main import process

if __name__ == "__main__":
    process()
