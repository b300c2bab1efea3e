"""Compiling C once: a cache of shared libraries, private to the user, under a hash of all that matters."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import time

from dltrain.errors import GraphError, StorageError

FLAGS = (
    "-O3",
    "-march=native",
    "-shared",
    "-fPIC",
    "-pthread",
    "-fno-math-errno",  # sqrt and the like are one instruction
    "-fno-trapping-math",
    "-fwrapv",  # int64 overflows as NumPy's does
)
VECTOR_LIBRARY = "-lmvec"  # glibc's vector exp, log, ...
TIMEOUT = 60  # seconds for one compilation
LEFTOVER_AGE = 3600  # seconds; no compilation takes so long
FIX = "set XDG_CACHE_HOME to a folder of yours, or use --kernels numpy"

PRELUDE = """\
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define VECTOR __attribute__((simd("notinbranch"), const, nothrow, leaf))
#else
#define VECTOR
#endif
VECTOR double exp(double); VECTOR float expf(float);
VECTOR double log(double); VECTOR float logf(float);
VECTOR double sin(double); VECTOR float sinf(float);
VECTOR double cos(double); VECTOR float cosf(float);
VECTOR double pow(double, double); VECTOR float powf(float, float);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
VECTOR double tanh(double); VECTOR float tanhf(float);
VECTOR double expm1(double); VECTOR float expm1f(float);
VECTOR double log1p(double); VECTOR float log1pf(float);
#else
double tanh(double); float tanhf(float);
double expm1(double); float expm1f(float);
double log1p(double); float log1pf(float);
#endif
double sqrt(double); float sqrtf(float);
double fabs(double); float fabsf(float);
double floor(double); float floorf(float);
"""


def find_compiler() -> str | None:
    """The path of a C compiler, `CC` if that is set, else cc, gcc or clang; None if there is none."""
    chosen = os.environ.get("CC")
    found = map(shutil.which, (chosen,) if chosen else ("cc", "gcc", "clang"))
    return next((path for path in found if path), None)


def load(sources: Sequence[str], compiler: str) -> list[ctypes.CDLL]:
    """The libraries of the C in each of `sources`; what the cache lacks is compiled, all at once.

    Raises:
        GraphError: the compiler refused.
        StorageError: the cache cannot be written.
    """
    matters = (_compiler_identity(compiler), *FLAGS, _processor())
    names = [hashlib.sha256("\0".join([source, *matters]).encode()).hexdigest() for source in sources]
    folder = _cache_folder()
    try:
        missing = [k for k, name in enumerate(names) if not _is_whole(folder, name)]
        if len(missing) > 1:
            from concurrent.futures import ThreadPoolExecutor  # slow to import, and seldom needed

            with ThreadPoolExecutor(len(missing)) as executor:
                list(executor.map(lambda k: _build(sources[k], compiler, folder, names[k]), missing))
        elif missing:
            _build(sources[missing[0]], compiler, folder, names[missing[0]])
        return [ctypes.CDLL(str(folder / f"{name}.so")) for name in names]
    except OSError as error:
        raise StorageError(
            "the kernel cache cannot be used", where=str(folder), why=str(error), fix=FIX
        ) from None


def _is_whole(folder: Path, name: str) -> bool:
    """Whether the library is there, and as it was written."""
    try:
        found = hashlib.sha256((folder / f"{name}.so").read_bytes()).hexdigest()
        return found == (folder / f"{name}.sha256").read_text()
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _build(text: str, compiler: str, folder: Path, name: str) -> None:
    """Compile beside the cache, then move into it: others see a whole file or none."""
    _remove_leftovers(folder)
    with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as work:
        source, built, sealed = Path(work, "kernels.c"), Path(work, "kernels.so"), Path(work, "seal")
        source.write_text(text)
        command = [compiler, *FLAGS, str(source), "-o", str(built), "-lm"]
        trouble = _run([*command, VECTOR_LIBRARY])
        if trouble:  # perhaps only that there is no such library
            trouble = _run(command)
        if trouble:
            raise GraphError(
                "the C compiler refused dltrain's kernels",
                where=compiler,
                why=trouble,
                fix="use --kernels numpy",
            )
        sealed.write_text(hashlib.sha256(built.read_bytes()).hexdigest())
        os.replace(built, folder / f"{name}.so")
        os.replace(sealed, folder / f"{name}.sha256")


def _remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed while they compiled have left."""
    for left in folder.glob("build-*"):
        with suppress(OSError):  # another process was faster
            if time() - left.stat().st_mtime > LEFTOVER_AGE:
                shutil.rmtree(left, ignore_errors=True)


def _run(command: list[str]) -> str:
    """The first line of what went wrong; empty if nothing did."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {TIMEOUT} seconds"
    if done.returncode == 0:
        return ""
    return next(iter(done.stderr.splitlines()), f"exit code {done.returncode}")


def _cache_folder() -> Path:
    """`dltrain/kernels` in the user's cache folder, for the user alone.

    Raises:
        StorageError: it cannot be made, or somebody else may write into it.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base, "dltrain", "kernels")
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise StorageError(
            "the kernel cache cannot be made",
            where=str(folder),
            why=error.strerror or str(error),
            fix=FIX,
        ) from None
    if hasattr(os, "geteuid") and (
        found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        raise StorageError(
            "the kernel cache is not private to you",
            where=str(folder),
            why=f"its owner is {found.st_uid} and its mode {stat.filemode(found.st_mode)}",
            fix="remove it, or set XDG_CACHE_HOME to a folder of yours",
        )
    return folder


def _compiler_identity(compiler: str) -> str:
    """Changes whenever the compiler is replaced; asking it for its version would cost more."""
    found = os.stat(os.path.realpath(compiler))
    return f"{os.path.realpath(compiler)} {found.st_size} {found.st_mtime_ns}"


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
        return "\n".join(
            line for line in lines if line.startswith(("flags", "Features", "model name", "CPU part"))
        )
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
