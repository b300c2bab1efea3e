"""The C compiler: finding it, and running it so that nobody waits for one that hangs."""

from __future__ import annotations

import errno
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import current_thread, main_thread
from time import monotonic, sleep

from dltrain.errors import CompilerError, StorageError

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
HAS_VECTOR_LIBRARY = (
    sys.platform == "linux" and platform.machine() == "x86_64" and "CS_GNU_LIBC_VERSION" in os.confstr_names
)
LIBRARIES = ("-lm", "-lmvec") if HAS_VECTOR_LIBRARY else ("-lm",)  # mvec: glibc's vector exp, log, ...

TIMEOUT = 60  # seconds for all that is compiled at once
POLL = 0.005  # seconds between two looks at the compilers
MOST_OUTPUT = 1 << 16  # bytes of messages that are kept
LONGEST_REASON = 300  # characters
FIX = "set CC to another C compiler, or choose NumPy kernels"

STORAGE_TROUBLE = (
    *map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES)),
    "File size limit exceeded",
)
"""What in a compiler's messages is not the compiler's fault."""


@dataclass(frozen=True)
class Compiler:
    """A command that compiles C.

    Attributes:
        words: the program's path, then what else `CC` says.
    """

    words: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Changes whenever a program of the command is replaced; asking for its version would cost more."""
        described = []
        for word in self.words:
            if program := shutil.which(word):
                found = os.stat(program)
                word = f"{os.path.realpath(program)} {found.st_size} {found.st_mtime_ns}"
            described.append(word)
        return "\0".join(described)

    def compile(self, sources: Sequence[Path]) -> None:
        """Make a shared library, NAME.so, beside each of the files NAME.c; all at once.

        Whatever ends it, a signal's exception too, leaves no process behind.

        Raises:
            CompilerError: the compiler refused, took too long, or could not be run.
            StorageError: it could not write.
        """
        running: list[subprocess.Popen[bytes]] = []
        try:
            with _signals_held_back():  # none must end a start half way, when nobody knows the process yet
                running.extend(map(self._start, sources))
            for process, output in zip(running, self._outputs(running), strict=True):
                if process.returncode:
                    raise self._refusal(process.returncode, output, sources[0].parent)
        finally:
            for process in running:
                _end(process)

    def _start(self, source: Path) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                [*self.words, *FLAGS, str(source), "-o", str(source.with_suffix(".so")), *LIBRARIES],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=os.environ | {"LC_ALL": "C", "TMPDIR": str(source.parent)},
                start_new_session=True,  # so that its own processes can be ended with it
                umask=0o077,
            )
        except OSError as error:
            raise self.error("cannot be run", error.strerror or str(error)) from None
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        return process

    def _outputs(self, running: Sequence[subprocess.Popen[bytes]]) -> list[bytes]:
        """What each has said, once all have ended or one has failed."""
        outputs = [b""] * len(running)
        deadline = monotonic() + TIMEOUT
        while True:
            codes = [process.poll() for process in running]
            for k, process in enumerate(running):
                assert process.stderr is not None
                outputs[k] = (outputs[k] + (process.stderr.read(MOST_OUTPUT) or b""))[:MOST_OUTPUT]
            if any(codes) or None not in codes:
                return outputs
            if monotonic() > deadline:
                raise self.error("is too slow", f"it took more than {TIMEOUT} seconds")
            sleep(POLL)

    def _refusal(self, code: int, output: bytes, folder: Path) -> CompilerError | StorageError:
        lines = output.decode(errors="replace").splitlines()
        lines.append(f"exit code {code}" if code > 0 else f"ended by: {signal.strsignal(-code)}")
        for line in lines:
            if any(trouble in line for trouble in STORAGE_TROUBLE):
                return StorageError(
                    "native kernels cannot be compiled",
                    where=str(folder.parent),
                    why=line[:LONGEST_REASON],
                    fix="make room there, or choose NumPy kernels",
                )
        why = next((line for line in lines if "error" in line), lines[0])
        return self.error("refused dltrain's kernels", why[:LONGEST_REASON])

    def error(self, what: str, why: str) -> CompilerError:
        """That it did what it should not."""
        return CompilerError(f"the C compiler {what}", where=shlex.join(self.words), why=why, fix=FIX)


def find_compiler() -> Compiler | None:
    """The command in the environment variable `CC`; without one cc, gcc or clang; None where there is none.

    Raises:
        CompilerError: the program that `CC` names is not there.
    """
    if sys.platform == "win32":  # threads.c is for POSIX
        return None
    chosen = os.environ.get("CC", "").strip()
    try:
        words = [chosen] if shutil.which(chosen) else shlex.split(chosen)
    except ValueError:  # a quote that is not closed
        words = [chosen]
    found = map(shutil.which, words[:1] or ("cc", "gcc", "clang"))
    program = next((path for path in found if path), None)
    if program:
        return Compiler((program, *words[1:]))
    if words:
        raise CompilerError(f"there is no program {words[0]!r}", where="the environment variable CC", fix=FIX)
    return None


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Calls Python's handlers of signals that arrive meanwhile afterwards."""
    held: list[int] = []
    handlers = {}
    if current_thread() is main_thread():  # signals call no other
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            if callable(signal.getsignal(number)):
                handlers[number] = signal.signal(number, lambda got, _: held.append(got))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for got in held:
            signal.raise_signal(got)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it has started, if it is still running."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.stderr is not None
    process.stderr.close()
