"""Runs functions in forked processes: a whole process each, but without the imports of one.

The server is one process that has imported everything, computes with one thread and does nothing but fork, so
that it may be forked safely. Processes end by themselves, by `os.kill`, or when the server ends.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

TESTS = Path(__file__).parent.parent
NO_CODE = 99  # of a function that raised


class Ended(NamedTuple):
    """How a process ended: its exit code or minus its signal, its output, what it told, and when it ended."""

    code: int
    out: str
    err: str
    told: list[list[Any]]
    time: float  # as time.monotonic() tells

    def all_told(self, word: str) -> list[Any]:
        return [value for key, value in self.told if key == word]


class ForkServer:
    """The side of the tests: starts processes in a server of its own."""

    def __init__(self) -> None:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(TESTS), str(TESTS.parent)])
        command, pipe = [sys.executable, "-m", "reliability.fork_server"], subprocess.PIPE
        self._process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
        assert self._ask("ready?")  # with its kernels compiled, which the next server then finds

    def start(self, function: Callable[..., int], folder: Path, **arguments: Any) -> int:
        """Calls a module's function in `folder`, in a new process whose id it returns.

        Arguments:
            arguments: of the function, as JSON holds them; what it returns is the exit code.
        """
        name = f"{function.__module__}:{function.__name__}"
        pid: int = self._ask("start", name, str(folder), arguments)
        return pid

    def wait(self, pid: int) -> Ended:
        return Ended(*self._ask("wait", pid))

    def wait_until_stopped(self, pid: int) -> None:
        """Until SIGSTOP has stopped the process."""
        assert self._ask("wait until stopped", pid)

    def run(self, function: Callable[..., int], folder: Path, **arguments: Any) -> Ended:
        return self.wait(self.start(function, folder, **arguments))

    def close(self) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _ask(self, *request: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())


def tell(word: str, value: Any) -> None:
    """Called in a forked process: the tests get to know it, even if the process is killed after this."""
    os.write(_told, json.dumps([word, value]).encode() + b"\n")


_told = -1


def _serve() -> None:
    """The side of the server: reads requests, a line each, and answers with a line."""
    from reliability import faulty_fit

    faulty_fit.warm_up()
    files: dict[int, list[Any]] = {}
    for line in sys.stdin:
        match json.loads(line):
            case ["ready?"]:
                answer: Any = True
            case "start", name, folder, arguments:
                opened = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115
                pid = os.fork()
                if pid == 0:
                    _call(name, folder, arguments, *opened)
                files[pid] = opened
                answer = pid
            case "wait until stopped", pid:
                answer = os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
            case "wait", pid:
                status = os.waitpid(pid, 0)[1]
                out, err, told = (_content(file) for file in files.pop(pid))
                lines = [json.loads(text) for text in told.splitlines()]
                answer = [os.waitstatus_to_exitcode(status), out, err, lines, time.monotonic()]
        print(json.dumps(answer), flush=True)


def _call(name: str, folder: str, arguments: dict[str, Any], out: Any, err: Any, told: Any) -> NoReturn:
    global _told
    _told = told.fileno()
    code = NO_CODE
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        os.chdir(folder)
        module, function = name.split(":")
        code = getattr(importlib.import_module(module), function)(**arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _content(file: Any) -> str:
    with file:
        file.seek(0)
        text: str = file.read().decode()
        return text


if __name__ == "__main__":
    # The functions import this module by its name, so that must be this one.
    sys.modules["reliability.fork_server"] = sys.modules["__main__"]
    _serve()
