"""The cache of compiled C: shared libraries, private to the user, each under a hash of all that matters."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from dltrain.backends.c.compiler import FLAGS, Compiler
from dltrain.errors import StorageError
from dltrain.files.storage_errors import storage_errors
from dltrain.files.temporary import remove_abandoned, temporary_folder

FIX = "set XDG_CACHE_HOME to a folder that only you can write, or choose NumPy kernels"
MARK = "dltrain_library"  # a string in every library: the name under which it is kept


def load(sources: Sequence[str], compiler: Compiler) -> list[ctypes.CDLL]:
    """The libraries of the C in each of `sources`; what the cache lacks is compiled, all at once.

    Raises:
        CompilerError: the compiler refused.
        StorageError: the cache cannot be used.
    """
    matters = os.fsencode("\0".join((compiler.identity, *FLAGS, _processor())))
    names = [hashlib.sha256(source.encode() + b"\0" + matters).hexdigest() for source in sources]
    folder = _private_folder()
    with storage_errors(folder, "the kernel cache cannot be used", FIX):
        libraries = {name: library for name in names if (library := _cached(folder, name))}
        missing = {name: source for name, source in zip(names, sources, strict=True) if name not in libraries}
        if missing:
            libraries |= _built(missing, compiler, folder)
    return [libraries[name] for name in names]


def _cached(folder: Path, name: str) -> ctypes.CDLL | None:
    """The library, if it is there, as it was written, and fits the system's libraries."""
    library, seal = folder / f"{name}.so", folder / f"{name}.sha256"
    try:
        whole = hashlib.sha256(library.read_bytes()).hexdigest() == seal.read_text()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    with suppress(OSError, ValueError):
        return _opened(library, name) if whole else None
    return None


def _built(sources: Mapping[str, str], compiler: Compiler, folder: Path) -> dict[str, ctypes.CDLL]:
    """Libraries compiled beside the cache, opened, then moved into it: others see a whole file or none."""
    remove_abandoned(folder)
    libraries = {}
    with temporary_folder(folder / "build") as work:
        for name, source in sources.items():
            (work / f"{name}.c").write_text(f'{source}\nconst char {MARK}[] = "{name}";\n', encoding="utf-8")
        compiler.compile([work / f"{name}.c" for name in sources])
        for name in sources:
            library, seal = work / f"{name}.so", work / f"{name}.sha256"
            try:
                libraries[name] = _opened(library, name)
            except (OSError, ValueError) as error:
                if os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
                    raise PermissionError("nothing on this file system may be run (noexec)") from None
                raise compiler.error("made no library that can be used", str(error)) from None
            seal.write_text(hashlib.sha256(library.read_bytes()).hexdigest())
            for path in (library, seal):
                path.chmod(0o600)
                os.replace(path, folder / path.name)
    return libraries


def _opened(path: Path, name: str) -> ctypes.CDLL:
    """Raises OSError, or ValueError where it is not the library of this name."""
    library = ctypes.CDLL(str(path))
    if (ctypes.c_char * len(name)).in_dll(library, MARK).raw != name.encode():
        raise ValueError("it was compiled from something else")
    return library


def _private_folder() -> Path:
    """`dltrain/kernels` in the user's cache folder, with all links resolved; made where it is missing.

    Raises:
        StorageError: it cannot be made, or somebody else may change what is in it or on the way to it.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # the XDG Base Directory Specification has those ignored
        base = os.path.join(os.path.expanduser("~"), ".cache")
    folder = Path(base, "dltrain", "kernels")
    if not folder.is_absolute():
        raise StorageError("there is no place for the kernel cache", why="you have no home folder", fix=FIX)
    with storage_errors(folder, "the kernel cache cannot be made", FIX):
        for place in reversed((folder, *folder.parents)):
            if not place.is_dir():
                place.mkdir(mode=0o700, exist_ok=True)
        folder = folder.resolve(strict=True)
        for place in (folder, *folder.parents):
            found = place.stat()
            if not _is_private(found, sticky=place != folder):
                raise StorageError(
                    "the kernel cache is not private to you",
                    where=str(folder),
                    why=f"{place} is user {found.st_uid}'s, with mode {stat.filemode(found.st_mode)}",
                    fix=FIX,
                )
    return folder


def _is_private(found: os.stat_result, *, sticky: bool) -> bool:
    """Whether only the user and root can change the names in a folder, as OpenSSH's StrictModes asks.

    Arguments:
        sticky: the folder may be one like /tmp, in which nobody can rename what is another's.
    """
    others = stat.S_IWOTH if _is_users_own_group(found.st_gid) else stat.S_IWOTH | stat.S_IWGRP
    root = os.stat("/").st_uid  # not 0 in some containers
    return found.st_uid in (os.geteuid(), root, 0) and (
        not found.st_mode & others or (sticky and bool(found.st_mode & stat.S_ISVTX))
    )


def _is_users_own_group(number: int) -> bool:
    """Whether it is the group that many systems give to each user alone."""
    from grp import getgrgid  # Windows has neither
    from pwd import getpwuid

    try:
        user, group = getpwuid(os.geteuid()).pw_name, getgrgid(number)
    except KeyError:
        return False
    return group.gr_name == user and set(group.gr_mem) <= {user}


@cache
def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
        return "\n".join(
            line for line in lines if line.startswith(("flags", "Features", "model name", "CPU part"))
        )
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
