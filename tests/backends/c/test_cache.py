"""The cache of compiled kernels: private, whole, and built once."""

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

import dltrain as dl
from dltrain.errors import DltrainWarning, StorageError


def native():
    return dl.Session(kernels="native")


def test_plans_of_other_sizes_share_the_compiled_kernels(cache):
    x = dl.placeholder("float32", ("batch", 10))
    function = native().make_callable(dl.sum(dl.tanh(x) * 3.0, axis=0), [x])
    function(np.ones((128, 10), "float32"))
    compiled = set(cache.iterdir())
    function(np.ones((77, 10), "float32"))
    assert set(cache.iterdir()) == compiled


def test_a_damaged_file_in_the_cache_is_rebuilt(cache):
    x = dl.placeholder("float32", ())
    before = set(cache.glob("*.so"))
    assert native().run(x * 7.25 + 1.0, {x: 2.0}) == 15.5
    (made,) = set(cache.glob("*.so")) - before
    for damage in (b"", made.read_bytes()[:-1], b"\x7fELF" + bytes(100)):
        made.unlink()  # the old one is still mapped by this process
        made.write_bytes(damage)
        assert native().run(x * 7.25 + 1.0, {x: 2.0}) == 15.5
        assert made.stat().st_size > 1000


def test_no_file_is_left_beside_the_libraries(cache):
    native().run(dl.constant(2.0) + dl.Variable(3.5))
    assert {path.suffix for path in cache.iterdir()} == {".so", ".sha256"}


@pytest.mark.parametrize("open_to_others", ["base/dltrain/kernels", "base/dltrain", "base", "."])
@pytest.mark.parametrize("mode", [0o777, 0o702])
def test_a_cache_that_others_may_write_or_exchange_is_refused(tmp_path, monkeypatch, open_to_others, mode):
    (tmp_path / "base" / "dltrain" / "kernels").mkdir(parents=True)
    (tmp_path / open_to_others).chmod(mode)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "base"))
    with pytest.raises(StorageError, match="not private to you"):
        native()
    with pytest.warns(DltrainWarning, match="NumPy kernels are used: the kernel cache is not private"):
        assert dl.Session(kernels="auto").kernels == "numpy"


def test_a_link_to_a_place_that_others_may_exchange_is_refused(tmp_path, monkeypatch):
    (tmp_path / "shared" / "cache").mkdir(parents=True)
    (tmp_path / "shared").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "shared" / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link"))
    with pytest.raises(StorageError, match="not private to you"):
        native()


def test_below_a_folder_like_tmp_a_cache_is_private(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "tmp" / "mine"))
    assert native().run(dl.Variable(1.0) + 1.0) == 2


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_a_cache_is_made_for_the_user_alone_whatever_the_umask(tmp_path, monkeypatch, mask):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "some" / "where"))
    before = os.umask(mask)
    try:
        assert native().run(dl.Variable(1.0) + 1.0) == 2
    finally:
        os.umask(before)
    made = [tmp_path / "some", *(tmp_path / "some").rglob("*")]
    assert len(made) >= 8
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in made)


@pytest.mark.parametrize("name", [b"with spaces", b"'quotes\" $HOME", b"%s;|&", b"not UTF-8 \xe4", b"-x"])
def test_a_cache_may_have_any_name(tmp_path, name):
    """In a process of its own: threadpoolctl, which other tests use, reads no names that are not UTF-8."""
    script = "import dltrain as dl; print(dl.Session(kernels='native').run(dl.Variable(1.0) + 1.0))"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / os.fsdecode(name))}
    for _ in range(2):
        assert subprocess.check_output([sys.executable, "-c", script], env=environment) == b"2.0\n"


@pytest.mark.parametrize("base", ["-x", "relative", "./here", ""])
def test_a_relative_cache_folder_is_ignored_as_its_standard_says(tmp_path, monkeypatch, base):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert native().run(dl.Variable(1.0) + 1.0) == 2
    assert os.listdir(tmp_path) == ["home"]
    assert list((tmp_path / "home" / ".cache" / "dltrain" / "kernels").glob("*.so"))


def test_a_user_without_a_home_is_told(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 54_321)
    with pytest.raises(StorageError, match="no place for the kernel cache: you have no home folder"):
        native()
    with pytest.warns(DltrainWarning, match="no home folder"):
        assert dl.Session(kernels="auto").kernels == "numpy"


def test_a_library_that_is_something_else_is_built_again(cache):
    """Whole and sealed, but not what its name says: perhaps another library of a confused copy."""
    x = dl.placeholder("float32", ())
    native()
    before = set(cache.glob("*.so"))
    assert native().run(dl.cos(x) - x, {x: 0.0}) == 1
    (made,) = set(cache.glob("*.so")) - before
    other = min(before)
    for suffix in (".so", ".sha256"):
        target = made.with_suffix(suffix)
        target.unlink()
        shutil.copy(other.with_suffix(suffix), target)
    assert native().run(dl.cos(x) - x, {x: 0.0}) == 1


def test_a_whole_cache_that_cannot_be_written_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    x = dl.Variable(1.0)
    assert native().run(x + 1.0) == 2
    monkeypatch.setattr("os.mkdir", _refuse)
    assert native().run(x + 1.0) == 2
    session = dl.Session(kernels="auto")
    assert session.kernels == "native"
    with pytest.warns(DltrainWarning, match="Read-only file system") as told:
        assert session.run(dl.exp(x - 1.0)) == 1
    assert len(told) == 1
    assert session.run(dl.log(x)) == 0
    assert session.kernels == "numpy"
    with pytest.raises(StorageError, match=r"kernel cache cannot be used.*Read-only file system"):
        native().run(dl.sin(x))


def _refuse(path, *_, **__):
    raise OSError(30, "Read-only file system", path)


def test_a_cache_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "dltrain").write_text("a file in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(StorageError, match="kernel cache cannot be made"):
        native().run(dl.Variable(1.0) + 1.0)


@pytest.mark.parametrize("hours", [-2, 0, 2])
def test_what_a_killed_compilation_left_is_removed_whatever_the_clock(tmp_path, monkeypatch, hours):
    """Of one that is still running the folder is locked, and may be older or newer than now."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernels = tmp_path / "dltrain" / "kernels"
    left, in_use = kernels / ".build.0123456789ab.tmp", kernels / ".build.ba9876543210.tmp"
    for folder in (left, in_use):
        folder.mkdir(parents=True)
        (folder / "kernels.c").touch()
        os.utime(folder, (time.time() + 3600 * hours,) * 2)
    tmp_path.joinpath("dltrain").chmod(0o700)
    kernels.chmod(0o700)
    descriptor = os.open(in_use, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert native().run(dl.Variable(2.0) * 7.25) == 14.5
    os.close(descriptor)
    assert not left.exists()
    assert in_use.exists()


def test_processes_that_compile_the_same_at_once_all_succeed(tmp_path):
    script = (
        "import dltrain as dl\n"
        "x = dl.placeholder('float32', ())\n"
        "print(dl.Session(kernels='native').run(dl.exp(x) * 0.5, {x: 0.0}))\n"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [process.communicate()[0].strip() for process in processes] == ["0.5"] * 4
    kernels = (tmp_path / "dltrain" / "kernels").iterdir()
    assert Counter(path.suffix for path in kernels) == {".so": 2, ".sha256": 2}  # the plan's, and the threads


def test_the_compiler_runs_once_for_each_library(tmp_path, monkeypatch):
    compiler, log = tmp_path / "cc", tmp_path / "log"
    compiler.write_text(
        f'#!/bin/sh\necho run >>{log}\nexec {shutil.which("cc") or shutil.which("gcc")} "$@"\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    x = dl.Variable(3.0)
    for _ in range(2):
        assert native().run(x * 3.5) == 10.5
    assert log.read_text() == "run\n" * 2  # for the plan, and for the threads
