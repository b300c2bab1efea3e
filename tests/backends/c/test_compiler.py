"""The C compiler: which one, and what happens where it fails, hangs or cannot write."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dltrain as dl
from dltrain.backends.c import compiler
from dltrain.errors import CompilerError, DltrainError, DltrainWarning, GraphError, StorageError


def native():
    return dl.Session(kernels="native")


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """An empty cache, in which there is nothing for a compiler to be spared."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Makes a shell script the compiler."""

    def write(text):
        path = tmp_path / "cc"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))
        return path

    return write


def real():
    (program,) = compiler.find_compiler().words
    return program


def test_a_compiler_that_refuses_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nprintf 'cc: no luck today: \\344\\n' >&2\nexit 1\n")  # no UTF-8
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(DltrainError, match=r"the C compiler refused.*no luck today"):
        native().run(dl.Variable(1.0) * 3.0)
    assert list((tmp_path / "cache" / "dltrain" / "kernels").iterdir()) == []


def test_without_a_compiler_auto_is_numpy_and_native_is_refused(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.warns(DltrainWarning, match="no-such-compiler"):
        assert dl.Session(kernels="auto").kernels == "numpy"
    with pytest.raises(GraphError, match="there is no program 'no-such-compiler'"):
        native()
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert dl.Session(kernels="auto").kernels == "numpy"
    with pytest.raises(GraphError, match="there is no C compiler"):
        native()


OUT = 'while [ "$1" != -o ]; do shift; done; out=$2'


def check_falls_back(error, match):
    """With "native" one error of one line; with "auto" one warning, and NumPy's kernels."""
    with pytest.raises(error, match=match) as raised:
        native().run(dl.Variable(1.0) + 1.0)
    assert len(raised.value.lines) == 1
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000
    with pytest.warns(DltrainWarning, match=match) as told:
        session = dl.Session(kernels="auto")
    assert len(told) == 1
    assert session.run(dl.Variable(1.0) * 2.0) == 2
    assert session.kernels == "numpy"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("exit 3", "refused dltrain's kernels.*exit code 3"),
        ("echo one >&2; echo 'x.c:1: error: two' >&2; exit 1", "x.c:1: error: two"),
        ("kill -9 $$", "refused dltrain's kernels.*Killed"),
        ("kill -11 $$", "refused dltrain's kernels.*Segmentation fault"),
        ("yes error: oh no | head -c 9000000 >&2; exit 1", "error: oh no"),
        ("tr '\\0' x </dev/zero | head -c 9000000 >&2; exit 1", "xxxxxxxx"),
        ("exit 0", "made no library"),
        (f"{OUT}; : >$out", "made no library.*too short"),
        (f"{OUT}; head -c 10000 /dev/urandom >$out", "made no library"),
        (f"{OUT}; echo 'int f;' >$out.c; {shutil.which('cc')} -shared $out.c -o $out", "made no library"),
        ("echo 'ld: final link failed: No space left on device' >&2; exit 1", "No space left on device"),
        ("echo 'as: /x/y.o: Disk quota exceeded' >&2; exit 1", "Disk quota exceeded"),
    ],
)
def test_whatever_a_compiler_does(script, text, match):
    script(text)
    full = "space" in match or "quota" in match
    check_falls_back(StorageError if full else CompilerError, match)


@pytest.mark.parametrize(
    "words", ["no-such-compiler", "no-such-compiler -O1", "gcc 'oh", "/", ".", "/etc/passwd", "-x", "''"]
)
def test_a_mistyped_compiler_is_said(monkeypatch, words):
    monkeypatch.setenv("CC", words)
    check_falls_back(CompilerError, "no program.*the environment variable CC")


@pytest.mark.parametrize("limit", [4096, 16384])
def test_a_limit_on_files_is_no_fault_of_the_compilers(limit):
    """4096: dltrain cannot write the C; 16384: the compiler cannot write what becomes of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        check_falls_back(StorageError, "File too large|File size limit exceeded")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failure_after_the_first_plan_leaves_the_session_with_numpy_kernels(script):
    done = Path(os.environ["XDG_CACHE_HOME"], "done")
    script(f"[ -e {done} ] && {{ echo 'cc: error: enough' >&2; exit 1; }}; exec {real()} \"$@\"")
    session, x = dl.Session(kernels="auto"), dl.Variable(3.0)
    assert session.run(x * 2.5) == 7.5
    assert session.kernels == "native"
    done.touch()
    with pytest.warns(DltrainWarning, match="enough") as told:
        assert session.run(dl.square(x)) == 9
    assert len(told) == 1
    assert session.run([dl.maximum(x, 4.0), x * 2.5]) == [4, 7.5]
    assert session.kernels == "numpy"


@pytest.mark.parametrize("folder", ["/nonexistent", "/proc", "relative", "/dev/null"])
def test_the_folder_for_temporary_files_does_not_matter(monkeypatch, folder):
    monkeypatch.setenv("TMPDIR", folder)
    assert native().run(dl.Variable(1.0) + 1.0) == 2


@pytest.mark.parametrize("words", ["{cc} -O1", "env FOO=bar {cc}", "  {cc}  ", "'{cc}' '-DX=a b'"])
def test_a_compiler_with_arguments(monkeypatch, words):
    monkeypatch.setenv("CC", words.format(cc=real()))
    assert native().run(dl.Variable(1.0) + 1.0) == 2


def test_a_compiler_whose_path_has_spaces(tmp_path, monkeypatch):
    path = tmp_path / "my cc"
    path.symlink_to(real())
    monkeypatch.setenv("CC", str(path))
    assert native().run(dl.Variable(1.0) + 1.0) == 2


def test_arguments_and_each_program_of_the_command_name_what_is_cached(tmp_path, monkeypatch):
    wrapper = tmp_path / "wrapper"
    wrapper.write_text('#!/bin/sh\nexec "$@"\n')
    wrapper.chmod(0o755)
    names, program = set(), real()
    for text, words in (
        ("", "{cc}"),
        ("", "{cc} -O1"),
        ("", "{wrapper} {cc}"),
        ("# another wrapper\n", "{wrapper} {cc}"),
    ):
        with wrapper.open("a") as file:
            file.write(text)
        monkeypatch.setenv("CC", words.format(cc=program, wrapper=wrapper))
        names.add(compiler.find_compiler().identity)
    assert len(names) == 4


def test_it_reads_nothing_of_what_dltrain_is_given(script):
    script(f'[ -z "$(cat)" ] || exit 1; exec {real()} "$@"')
    reading, writing = os.pipe()
    os.write(writing, b"typed ahead")
    before = os.dup(0)
    os.dup2(reading, 0)
    try:
        assert native().run(dl.Variable(1.0) + 1.0) == 2
    finally:
        os.dup2(before, 0)
        for descriptor in (reading, writing, before):
            os.close(descriptor)


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def all_have_ended(pids, within=2.0):
    end = time.monotonic() + within
    while time.monotonic() < end and any(map(is_running, pids)):
        time.sleep(0.01)
    return not any(map(is_running, pids))


HANGS = "echo $$ >>{pids}; sleep 100 & echo $! >>{pids}; wait"


def test_one_that_hangs_is_ended_once_with_all_that_it_has_started(script, tmp_path, monkeypatch):
    pids = tmp_path / "pids"
    script(HANGS.format(pids=pids))
    monkeypatch.setattr(compiler, "TIMEOUT", 0.5)
    started = time.monotonic()
    with pytest.raises(CompilerError, match="is too slow"):
        native()
    assert time.monotonic() - started < 3
    found = pids.read_text().split()
    assert len(found) == 2  # it was run once
    assert all_have_ended(found)


@pytest.mark.parametrize("hangs", ["always", "with the plan"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_one_that_hangs_at_once(script, tmp_path, number, hangs):
    pids = tmp_path / "pids"
    compiles = f'grep -q start_threads "$file" && exec {real()} "$@"' if hangs == "with the plan" else ":"
    script(f'for file; do case "$file" in *.c) break; esac; done; {compiles}\n{HANGS.format(pids=pids)}')
    code = "import sys; from dltrain.cli.main import main; sys.exit(main(sys.argv[1:]))"
    config = Path(__file__).parents[3] / "configs" / "smoke.yaml"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "fit", str(config), "--run-dir", str(tmp_path / "run")],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (pids.exists() and len(pids.read_text().split()) >= 2):
        time.sleep(0.02)
    sent = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - sent < 2
    assert process.returncode == 128 + number
    assert errors.count("\n") == 1
    if hangs == "with the plan":
        assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "stopped"
    assert all_have_ended(pids.read_text().split())
