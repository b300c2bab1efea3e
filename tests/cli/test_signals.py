"""Signals: the first of them sets a flag, a second SIGINT leaves at once whatever the process is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dltrain.cli.signals import STOPPING, StopFlag, second_interrupt_ends

BUSY = """
import hashlib, signal
from dltrain.cli.signals import StopFlag, second_interrupt_ends

with second_interrupt_ends(), StopFlag():
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)  # one call, in which Python runs no handler, for a minute
"""


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_is_noted_and_handlers_are_put_back(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in STOPPING]
    with StopFlag() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        if number != signal.SIGTERM:
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal_number == number
    assert [signal.getsignal(each) for each in STOPPING] == before


def test_a_second_sigint_raises() -> None:
    with second_interrupt_ends(), StopFlag():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.6)  # and the process lives on where that was enough


def test_no_thread_or_descriptor_is_left() -> None:
    before = len(os.listdir("/dev/fd")), threading.active_count()
    for _ in range(3):
        with second_interrupt_ends(), StopFlag():
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
