"""`python -m dltrain` is the command `dltrain`."""

from __future__ import annotations

import sys

from dltrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
