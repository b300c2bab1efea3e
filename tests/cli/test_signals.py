"""Signals: the first of them stops the command, a second SIGINT ends the process whatever it is doing.

Hundreds of moments: `python -m pytest -m slow tests/cli/test_signals.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from run_helpers import softmax_config, write_data

from dltrain.cli.signals import STOPPING, Signals, StopFlag, Watcher

BUSY = """
import hashlib, signal
from dltrain.cli.signals import Signals, StopFlag, Watcher

with Signals() as signals, Watcher(signals), StopFlag(signals):
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)  # one call, in which Python runs no handler, for a minute
"""


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_is_noted_and_handlers_are_put_back(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in STOPPING]
    with Signals() as signals, StopFlag(signals) as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        if number != signal.SIGTERM:
            os.kill(os.getpid(), signal.SIGTERM)
        assert signals.number == number
    assert [signal.getsignal(each) for each in STOPPING] == before


def test_a_second_sigint_raises() -> None:
    with Signals() as signals, Watcher(signals), StopFlag(signals):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.6)  # and the process lives on where that was enough


def test_no_thread_or_descriptor_is_left() -> None:
    before = len(os.listdir("/dev/fd")), threading.active_count()
    for _ in range(3):
        with Signals() as signals, Watcher(signals), StopFlag(signals):
            os.kill(os.getpid(), signal.SIGINT)
    assert (len(os.listdir("/dev/fd")), threading.active_count()) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_second_sigint_ends_a_process_that_does_not_run_python() -> None:
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert time.monotonic() - start < 2  # 0.4 s and what a busy machine adds
    process.stdout.close()


# Tells when signals are heeded, which is the first thing that the process does once dltrain is imported.
PROCESS = """
import os
from dltrain.cli import main
enter = main.Signals.__enter__
main.Signals.__enter__ = lambda signals: (enter(signals), os.write(1, b"."))[0]
main.process()
"""
STORMS: list[Sequence[signal.Signals]] = [
    [signal.SIGINT],
    [signal.SIGTERM],
    [signal.SIGUSR1],
    [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1],
    [signal.SIGTERM, signal.SIGINT, signal.SIGINT, signal.SIGINT],
    [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGINT, signal.SIGTERM],
]


def start(folder: Path, *words: str, before: str = "") -> subprocess.Popen[str]:
    """A process that is just about to do what the words say."""
    command = [sys.executable, "-c", before + PROCESS, *words]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.read(1) == "."
    return process


@pytest.mark.parametrize(
    "moments", [24, pytest.param(400, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_at_any_moment_it_is_one_line_and_the_exit_code(moments: int, tmp_path: Path) -> None:
    """While modules are imported, in training, and to the end of the interpreter."""
    (tmp_path / "c.yaml").write_text(softmax_config(write_data(tmp_path), epochs=1))
    words = ("fit", "c.yaml", "--kernels", "numpy", "--quiet")
    begin = time.monotonic()
    start(tmp_path, *words).communicate(timeout=60)
    whole = time.monotonic() - begin
    stopped = 0
    for moment in range(moments):
        storm = STORMS[moment % len(STORMS)]
        process = start(tmp_path, *words)
        time.sleep(whole * moment / moments)
        for number in storm:
            process.send_signal(number)
            time.sleep(0.001 * (moment % 3))
        _, err = process.communicate(timeout=60)
        lines = err.splitlines()
        if process.returncode == 0:
            assert lines == []
        else:
            assert process.returncode in {128 + number for number in storm}, (moment, err)
            assert len(lines) == 1, err
            assert lines[0].startswith(("dltrain: error: interrupted", "dltrain: error: stopped by SIG")), err
            stopped += 1
    assert stopped > moments / 4


@pytest.mark.parametrize("number", STOPPING)
def test_what_was_ignored_stays_ignored(number: int, tmp_path: Path) -> None:
    """As in `nohup`, after `trap '' TERM`, and in the background of a script."""
    (tmp_path / "c.yaml").write_text(softmax_config(write_data(tmp_path), epochs=10**6))
    ignore = f"import signal; signal.signal({int(number)}, signal.SIG_IGN); "
    process = start(tmp_path, "fit", "c.yaml", "--kernels", "numpy", before=ignore)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("epoch 1/1000000")
    for _ in range(3):
        process.send_signal(number)
    last, seconds = "", time.monotonic() + 0.5
    while time.monotonic() < seconds:
        last = process.stderr.readline()
    assert last.startswith("epoch ")
    other = signal.SIGINT if number == signal.SIGTERM else signal.SIGTERM
    process.send_signal(other)
    assert f"stopped by {other.name} after step" in process.communicate(timeout=60)[1]
    assert process.returncode == 128 + other


def test_where_no_thread_can_be_started(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(softmax_config(write_data(tmp_path), epochs=10**6))
    none = """
import threading
def start(self): raise RuntimeError("can't start new thread")
threading.Thread.start = start
"""
    process = start(tmp_path, "fit", "c.yaml", "--kernels", "numpy", "--threads", "1", before=none)
    assert process.stderr is not None
    assert process.stderr.readline() == "dltrain: warning: one thread is used: the system starts no more\n"
    assert process.stderr.readline().startswith("epoch 1/1000000")
    process.send_signal(signal.SIGINT)
    assert "stopped by SIGINT after step" in process.communicate(timeout=60)[1]
    assert process.returncode == 130
