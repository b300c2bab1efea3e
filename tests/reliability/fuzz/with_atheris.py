"""Fuzzes readers, guided by coverage, until one breaks its promise (see `bounds.py`):

    pip install atheris
    python tests/reliability/fuzz/with_atheris.py SECONDS [TARGET...]

Targets are those of `targets.py`, by default each of them in turn. It ends with exit code 0 if all kept their
promise; else atheris tells the error, and the name of the file, `crash-...`, that holds the content.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(folder) for folder in Path(__file__).parents[2:4]]  # tests, and the repository


def fuzz(name: str, seconds: str, folder: Path) -> None:
    """Fuzzes one target, in a folder of its own, and ends the process."""
    import atheris

    with atheris.instrument_imports(include=["dltrain", "yaml", "zipfile", "gzip", "PIL", "numpy.lib"]):
        from reliability.fuzz.bounds import bounded
        from reliability.fuzz.targets import TARGETS

    os.fsync = lambda descriptor: None
    target, work, corpus = TARGETS[name], folder / "work", folder / "corpus"
    for path in (work, corpus):
        path.mkdir()
    for number, seed in enumerate(target.seeds(work)):
        (corpus / f"seed-{number}").write_bytes(seed)

    def read(content: bytes) -> None:
        with bounded():
            target.read(work, content)

    flags = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=10", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], read)
    atheris.Fuzz()


def main(seconds: str, *names: str) -> int:
    from reliability.fuzz.targets import TARGETS

    broken = []
    for name in names or TARGETS:
        print(f"--- {name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, __file__, "--one", name, seconds, folder])
        broken += [name] if done.returncode else []
    print("broken:", ", ".join(broken) or "none")
    return bool(broken)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz(*sys.argv[2:4], Path(sys.argv[4]))
    else:
        sys.exit(main(*sys.argv[1:]))
