"""Variables of the environment, folders and limits that are odd: one line, or no difference."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from run_helpers import softmax_config, write_data

FIT = ["fit", "c.yaml", "--run-dir", "run", "--kernels", "numpy"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.yaml").write_text(softmax_config(write_data(tmp_path), epochs=1))
    return tmp_path


def dltrain(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dltrain", *words]
    environment = os.environ | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "variable", ["TQDM_MININTERVAL=abc", "TQDM_NCOLS=x", "TQDM_BAR_FORMAT={nothing}", "TQDM_MINITERS=[]"]
)
def test_a_bar_that_cannot_be_drawn(folder: Path, variable: str) -> None:
    name, value = variable.split("=")
    done = dltrain(folder, *FIT, "--progress", "bar", **{name: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"dltrain: error: tqdm cannot draw a bar: {name}: "), done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "run").exists()
    assert dltrain(folder, *FIT, **{name: value}).returncode == 0  # where there is none to draw


@pytest.mark.parametrize(
    "variable",
    [
        "COLUMNS=abc",
        "LINES=abc",
        "TERM=nonsense",
        "LC_ALL=xx_YY.nothing",
        "PYTHONOPTIMIZE=2",
        "PYTHONIOENCODING=ascii",
        "PYTHONUTF8=0",
        "PYTHONWARNINGS=error",
        "PYTHONDEVMODE=1",
        "PYTHONUNBUFFERED=1",
        "TQDM_DISABLE=zzz",
        "TZ=nonsense",
        "HOME=",
        "HOME=/nonexistent",
    ],
)
def test_what_makes_no_difference(folder: Path, variable: str) -> None:
    name, value = variable.split("=")
    done = dltrain(folder, *FIT, "--progress", "bar", **{name: value})
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr


@pytest.mark.parametrize("number", ["0", "-1", "99999", "99999999999999999999", "9" * 5000, "two"])
def test_numbers_of_threads_that_cannot_be(folder: Path, number: str) -> None:
    done = dltrain(folder, *FIT, "--threads", number)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("dltrain: error: invalid value for '--threads': ")


def test_a_folder_that_is_gone(folder: Path) -> None:
    (folder / "gone").mkdir()
    script = 'cd gone && rmdir ../gone && exec "$0" -m dltrain "$@"'
    for words, code in [
        (["--help"], 0),
        (["validate", "c.yaml"], 2),
        (["eval", "latest"], 5),
        (["fit", f"{folder}/c.yaml", "--kernels", "numpy"], 7),
        (["fit", f"{folder}/c.yaml", "--run-dir", f"{folder}/run", "--kernels", "numpy"], 7),
    ]:
        done = subprocess.run(
            ["sh", "-c", script, sys.executable, *words],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        (folder / "gone").mkdir()
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


LATE = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += atol(getenv("LATE"));
    return failed;
}
time_t time(time_t *seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return seconds ? (*seconds = now.tv_sec) : now.tv_sec;
}
"""


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("gcc") is None, reason="needs LD_PRELOAD and gcc")
@pytest.mark.parametrize("year", [1931, 9998])
def test_a_clock_that_is_wrong(year: int, folder: Path) -> None:
    (folder / "late.c").write_text(LATE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "late.so", "late.c"], cwd=folder, check=True)
    late = {"LD_PRELOAD": str(folder / "late.so"), "LATE": str(int((year - 2026) * 365.25 * 86400))}
    for words in (
        FIT,
        ["fit", "--resume", "run", "--kernels", "numpy", "train.epochs=2"],
        ["fit", "c.yaml", "--fast", "--kernels", "numpy"],
        ["eval", "latest"],
        ["verify", "run"],
    ):
        done = dltrain(folder, *words, **late)
        if year < 2262:
            assert done.returncode == 0, done.stderr
        else:
            line = "dltrain: error: this machine's clock is wrong: it is beyond the year 2262, "
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (7, "", 1)
            assert done.stderr.startswith(line)


def test_a_virtual_environment_below_an_odd_path(folder: Path) -> None:
    odd = folder / "x y'q\" $HOME é"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", odd / "venv"], check=True)
    (packages,) = odd.glob("venv/lib/*/site-packages")
    paths = [sysconfig.get_path("purelib"), str(Path(__file__).parents[2])]
    (packages / "these.pth").write_text("\n".join(paths))
    shutil.copytree(Path(__file__).parents[2] / "dltrain", packages / "dltrain")
    for words in (FIT, ["fit", "c.yaml", "--run-dir", "run2"], ["verify", "run2"]):
        command = [odd / "venv" / "bin" / "python", "-m", "dltrain", *words]
        cache = os.environ | {"XDG_CACHE_HOME": str(odd / "cache")}
        done = subprocess.run(command, cwd=folder, env=cache, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
