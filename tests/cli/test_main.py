"""The command's face: help, version, errors as lines and exit codes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest

import dltrain
from dltrain import errors
from dltrain.cli.main import COMMANDS, help_text, main

ROOT = Path(__file__).parents[2]
Raising = Callable[[BaseException], None]


def dltrain_process(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dltrain", *arguments]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}  # as it is by default
    return subprocess.run(command, cwd=ROOT, text=True, stderr=subprocess.PIPE, env=buffered, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Adds a subcommand `try` that does what it is given."""

    def install_command(action: Callable[[], None]) -> None:
        option = click.Option(["--known"], expose_value=False)
        module = ModuleType("command_of_this_test")
        module.command = click.Command("try", callback=action, params=[option])  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(COMMANDS, "try", (f"{module.__name__}:command", "Try it."))

    return install_command


@pytest.fixture
def raising(install: Callable[[Callable[[], None]], None]) -> Raising:
    """Adds a subcommand `try` that raises what it is given."""

    def install_raising(error: BaseException) -> None:
        def action() -> None:
            raise error

        install(action)

    return install_raising


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_with_help_and_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Usage: dltrain {name} [OPTIONS]")
    assert f"dltrain {name} " in out.split("\n", maxsplit=1)[1]
    assert err == ""


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (help_text() + "\n", "")
    for name, (_, summary) in COMMANDS.items():
        assert any(line.split(maxsplit=1) == [name, summary] for line in out.splitlines())
    assert max(map(len, out.splitlines())) <= 80


def test_no_command_shows_the_help_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr() == ("", help_text() + "\n")


def test_version_and_the_module_as_command() -> None:
    done = dltrain_process("--version", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"dltrain {dltrain.__version__}\n", "")


def test_help_imports_nothing_heavy() -> None:
    script = "import sys; from dltrain.cli.main import main; main(['--help']); print('|', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, text=True, capture_output=True, check=True
    )
    loaded = {name.split(".")[0] for name in done.stdout.split("|")[1].split()}
    assert "dltrain" in loaded
    assert not loaded & {"numpy", "pydantic", "pydantic_core", "yaml", "click", "tqdm"}


def test_help_answers_within_three_times_an_empty_python() -> None:
    def seconds(*arguments: str) -> float:  # of the processor, so that other work does not count
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    empty, help_ = zip(
        *((seconds("-c", "pass"), seconds("-m", "dltrain", "--help")) for _ in range(10)), strict=True
    )
    assert min(help_) <= 3 * min(empty)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["downlaod-mnist"], "no such command: downlaod-mnist; did you mean download-mnist?"),
        (["FIT"], "no such command: FIT; see `dltrain --help`"),
        (["--verison"], "no such option: --verison; did you mean --version?"),
        (["-x"], "no such option: -x; see `dltrain --help`"),
        (["validate", "a\0b"], "the command line has a zero character; no path has one: leave it out"),
        (["a\x1b[2Jb\n"], "no such command: a\\x1b[2Jb\\n; see `dltrain --help`"),
        (["try", "--knwon", "1"], "no such option: --knwon: dltrain try; did you mean --known?"),
        (["try", "--qqq"], "no such option '--qqq': dltrain try; see `dltrain try --help`"),
        (["try", "--known"], "option '--known' requires an argument: dltrain try; see `dltrain try --help`"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: list[str], line: str, raising: Raising, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(AssertionError("not to be called"))
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"dltrain: error: {line}\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (errors.ConfigError("bad", where="a.yaml:1:2", why="why", fix="do"), 2, "bad: a.yaml:1:2: why; do"),
        (errors.DataError("d"), 3, "d"),
        (errors.DivergedError("d"), 4, "d"),
        (errors.RunError("r"), 5, "r"),
        (errors.RequirementError("r"), 6, "r"),
        (errors.StorageError("s"), 7, "s"),
        (errors.StoppedError("s", signal_number=15), 143, "s"),
        (PermissionError(13, "Permission denied", "/x"), 7, "cannot read or write: /x: Permission denied"),
        (OSError(28, "No space left on device"), 7, "cannot read or write: No space left on device"),
        (MemoryError("Unable to allocate 1 TiB"), 7, "not enough memory: Unable to allocate 1 TiB"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (errors.DataError("\x1b[31mred\x07\u202e\n\udcff"), 3, "\\x1b[31mred\\x07\\u202e\\n\\udcff"),
        (errors.DataError("Zürich 数据"), 3, "Zürich 数据"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_and_its_exit_code(
    error: BaseException, code: int, line: str, raising: Raising, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(error)
    assert main(["try"]) == code
    assert capsys.readouterr() == ("", f"dltrain: error: {line}\n")

    for arguments in (["--debug", "try"], ["try", "--debug"]):
        assert main(arguments) == code
        err = capsys.readouterr().err
        assert err.startswith("Traceback (most recent call last):\n")
        assert err.endswith(f"\ndltrain: error: {line}\n")


def test_several_problems_are_several_lines(raising: Raising, capsys: pytest.CaptureFixture[str]) -> None:
    raising(errors.ConfigError.together([errors.ConfigError("one"), errors.ConfigError("two\nlines")]))
    assert main(["try"]) == 2
    assert capsys.readouterr().err == "dltrain: error: one\ndltrain: error: two\\nlines\n"


def test_a_bug_shows_a_traceback_and_asks_for_a_report(
    raising: Raising, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(ZeroDivisionError("oops"))
    assert main(["try"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):\n")
    assert "ZeroDivisionError: oops\n" in err
    assert f"this is a bug in dltrain {dltrain.__version__}; please report it" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138)]
)
def test_a_signal_cleans_up_and_gives_its_exit_code(
    sent: signal.Signals, code: int, install: Callable[[Callable[[], None]], None]
) -> None:
    cleaned = []

    def action() -> None:
        try:
            os.kill(os.getpid(), sent)
            time.sleep(10)
        finally:
            cleaned.append(True)

    install(action)
    before = signal.signal(sent, signal.default_int_handler)
    try:
        assert main(["try"]) == code
        assert cleaned == [True]
        assert signal.getsignal(sent) is signal.default_int_handler
    finally:
        signal.signal(sent, before)


def test_a_reader_that_has_left_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = dltrain_process("--help", stdout=pipe)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_on_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = dltrain_process("--help", stdout=full)
    assert (done.returncode, done.stderr) == (
        7,
        "dltrain: error: cannot read or write: No space left on device\n",
    )
