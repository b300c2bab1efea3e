"""Several processes at once on one run directory, or one folder of data: one clean result; others say so."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from reliability import faulty_fit
from reliability.experiment import Experiment, digest, left_behind
from reliability.fork_server import ForkServer
from reliability.small_set import FILES, download


def paused(experiment: Experiment, run: Path, share: float, phase: str = "step") -> int:
    """A process that trains the run and, after that share of the phase's events, stands still within it."""
    server = experiment.servers[0]
    pid = server.start(
        faulty_fit.fit_with_signals,
        experiment.folder,
        words=experiment.words(run),
        moments=[(phase, int(experiment.events[phase] * share))],
        signals=[signal.SIGSTOP],
    )
    server.wait_until_stopped(pid)
    return pid


def killed(experiment: Experiment, run: Path) -> None:
    """Trains the first half of the run, up to within a save."""
    os.kill(pid := paused(experiment, run, 0.5, "save"), signal.SIGKILL)
    assert experiment.servers[0].wait(pid).code == -signal.SIGKILL


def check_refused(experiment: Experiment, words: list[str], reason: str) -> None:
    ended = experiment.servers[1].run(faulty_fit.fit, experiment.folder, words=words)
    assert ended.code == 5
    assert re.fullmatch(rf"dltrain: error: {reason}\n", ended.err), ended.err


def check_goes_on(experiment: Experiment, pid: int, run: Path) -> None:
    os.kill(pid, signal.SIGCONT)
    ended = experiment.servers[0].wait(pid)
    assert (ended.code, ended.err) == (0, "")
    assert digest(run) == experiment.reference
    assert left_behind(run) == []


def test_a_run_in_training_is_nobody_elses(experiment: Experiment) -> None:
    run = experiment.folder / "run"
    begin, resume = experiment.words(run), ["--resume", str(run), "train.epochs=9"]
    pid = paused(experiment, run, 0.5)
    check_refused(experiment, begin, f"run directory is not empty: {run}; .*; to continue .* use --resume")
    check_refused(experiment, resume, f"run is in use: {run}: locked by process {pid}; wait until it ends .*")
    check_goes_on(experiment, pid, run)


def test_two_resume_one_run(experiment: Experiment) -> None:
    run = experiment.folder / "run"
    killed(experiment, run)
    resume = experiment.words(run)
    pid = paused(experiment, run, 0.2)
    check_refused(experiment, resume, f"run is in use: {run}: locked by process {pid}; wait until it ends .*")
    check_goes_on(experiment, pid, run)


@pytest.mark.parametrize("resumed", [False, True])
def test_four_begin_in_the_same_moment(experiment: Experiment, resumed: bool) -> None:
    for number in range(5):
        run = experiment.folder / f"run-{number}"
        if resumed:
            killed(experiment, run)
        words, server = experiment.words(run), experiment.servers[0]
        pids = [server.start(faulty_fit.fit, experiment.folder, words=words) for _ in range(4)]
        ended = [server.wait(pid) for pid in pids]
        assert digest(run) == experiment.reference
        assert left_behind(run) == []
        refused = [each for each in ended if each.code != 0]
        assert len(refused) == 3 or resumed  # a run that is done may be resumed: there is nothing to do
        for each in refused:
            assert each.code == 5
            assert re.match(r"dltrain: error: (run is in use|run directory is not empty): ", each.err)


# --- downloads ---


class Handler(BaseHTTPRequestHandler):
    """Serves FILES; below /slow/ only a half of one, and then nothing."""

    server: Server

    def do_GET(self) -> None:
        content = FILES[self.path.rpartition("/")[2]]
        slow = self.path.startswith("/slow/")
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if slow else content)
        if slow:
            self.server.closing.wait(60)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.closing = threading.Event()

    def handle_error(self, *_: object) -> None:
        pass  # the client was killed


@pytest.fixture
def url() -> Iterator[str]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.closing.set()
        server.shutdown()
        thread.join()


def test_eight_downloads_one_of_which_is_killed(servers: list[ForkServer], tmp_path: Path, url: str) -> None:
    folder = tmp_path / "data"

    def start(number: int, path: str = "mnist") -> tuple[ForkServer, int]:
        server = servers[number % len(servers)]
        words = ["--dir", str(folder), "--mirror", f"{url}/{path}/"]
        return server, server.start(download, tmp_path, words=words)

    def check_downloaded(server: ForkServer, pid: int) -> str:
        ended = server.wait(pid)
        assert ended.code == 0, ended.err
        assert ended.out == f"Small is complete in {folder}\n"
        assert {name: folder.joinpath(name).read_bytes() for name in FILES} == FILES
        return ended.err

    def rests() -> list[Path]:
        return list(folder.glob(".*.tmp"))

    server, victim = start(0, "slow")
    while not any(path.stat().st_size for path in rests()):
        time.sleep(0.001)
    lines = "".join([check_downloaded(*each) for each in [start(number) for number in range(1, 8)]])
    assert re.fullmatch(r"(\S+-ubyte\.gz: (downloaded from \S+|already there), checksum right\n)*", lines)
    assert len(lines.splitlines()) == 2 * 7
    assert len(rests()) == 1
    os.kill(victim, signal.SIGKILL)
    assert server.wait(victim).code == -signal.SIGKILL

    assert check_downloaded(*start(0)).count("already there") == 2
    assert rests() == []
    for name in FILES:
        folder.joinpath(name).unlink()
    assert check_downloaded(*start(0)).count("downloaded from") == 2
