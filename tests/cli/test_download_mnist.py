"""`dltrain download-mnist` against servers on this machine that misbehave in every way."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dltrain.cli.main import main
from dltrain.datasets import published
from dltrain.datasets.download import copy_from, download
from dltrain.datasets.published import PublishedFile, PublishedSet
from dltrain.errors import DataError, StorageError

REAL_MNIST = Path(__file__).parents[2] / "data/mnist"
CONTENTS = {f"{name}-ubyte": os.urandom(150_000) + name.encode() for name in ("images", "labels")}
FILES = {f"{name}.gz": gzip.compress(content) for name, content in CONTENTS.items()}
SMALL_SET = PublishedSet(
    "Small",
    [PublishedFile(name, len(c), hashlib.sha256(c).hexdigest()) for name, c in CONTENTS.items()],
    mirrors=(),
)

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


class Server(ThreadingHTTPServer):
    """Serves FILES; `answers` says how, one for each request in turn, the last for all further ones."""

    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.requests: list[tuple[str, str | None]] = []
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/mnist/"

    def handle_error(self, *_: object) -> None:
        pass  # the client has left


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.removeprefix("/mnist/")
        self.server.requests.append((name, self.headers["Range"]))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self, FILES[name])

    def log_message(self, *_: object) -> None:
        pass


def send(handler: BaseHTTPRequestHandler, content: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in ({"Content_Length": str(len(content))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


def good(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    send(handler, content)


def good_with_ranges(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    if wanted := handler.headers["Range"]:
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        where = f"bytes {start}-{len(content) - 1}/{len(content)}"
        send(handler, content[start:], 206, Content_Range=where)
    else:
        send(handler, content)


def status(code: int) -> Answer:
    return lambda handler, content: send(handler, b"sorry", code)


def serve(other: bytes) -> Answer:
    return lambda handler, content: send(handler, other)


def cut_at(size: int) -> Answer:
    return lambda handler, content: send(handler, content[:size], Content_Length=str(len(content)))


def stall_at(size: int) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        send(handler, content[:size], Content_Length=str(len(content)))
        handler.server.stopping.wait(60)  # type: ignore[attr-defined]

    return answer


def trickle(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    send(handler, b"", Content_Length=str(len(content)))
    for byte in content:
        if handler.server.stopping.wait(0.02):  # type: ignore[attr-defined]
            break
        handler.wfile.write(bytes([byte]))


def without_length(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = []

    def start_server(*answers: Answer) -> Server:
        server = Server(*answers)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    yield start_server
    for server in servers:
        server.stopping.set()
        server.shutdown()
        server.server_close()


class Said(list[str]):
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[str, int, int | None]] = []

    def say(self, line: str) -> None:
        self.append(line)

    def progress(self, name: str, received: int, expected: int | None) -> None:
        self.received.append((name, received, expected))


def assert_complete(folder: Path) -> None:
    """The files are there, right, and nothing else is."""
    assert {path.name for path in folder.iterdir()} == set(FILES)
    for name, content in CONTENTS.items():
        assert gzip.decompress((folder / f"{name}.gz").read_bytes()) == content


def run(folder: Path, *servers: Server, stall_seconds: float = 10.0) -> Said:
    said = Said()
    download(SMALL_SET, folder, said, mirrors=[s.url for s in servers], stall_seconds=stall_seconds)
    return said


def refused(folder: Path, *servers: Server, stall_seconds: float = 10.0) -> str:
    """The one line of a download that fails, which must leave nothing behind."""
    with pytest.raises(DataError) as raised:
        run(folder, *servers, stall_seconds=stall_seconds)
    (line,) = raised.value.lines
    assert "\n" not in line
    assert list(folder.iterdir()) == []
    return line


def test_success(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(good)
    said = run(tmp_path / "new" / "folder", server)
    assert_complete(tmp_path / "new" / "folder")
    assert [name for name, _ in server.requests] == list(FILES)
    assert said == [f"{name}: downloaded from {server.url}, checksum right" for name in FILES]
    for name, content in FILES.items():
        assert [p for p in said.received if p[0] == name][-1] == (name, len(content), len(content))


def test_a_server_that_does_not_say_the_length(start: Callable[..., Server], tmp_path: Path) -> None:
    said = run(tmp_path, start(without_length))
    assert_complete(tmp_path)
    assert {expected for _, _, expected in said.received} == {None}


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (status(404), "the server answers 404 Not Found"),
        (status(503), "the server answers 503 Service Unavailable"),
        (serve(b"<html>log in first</html>"), "the content has 25 bytes, not 150006"),
        (serve(gzip.compress(bytes(150_006))), "the SHA-256 of its content is "),
        (serve(FILES["images-ubyte.gz"][:-9]), "the compressed data is damaged"),
        (serve(gzip.compress(bytes(10**6))), "the content has more bytes, not 150006"),
        (serve(bytes(10**6)), "serves 1000000 bytes, more than the file can have"),
        (lambda handler, content: without_length(handler, bytes(10**6)), "more bytes than the file can have"),
    ],
)
def test_a_bad_mirror_and_then_a_good_one(
    start: Callable[..., Server], tmp_path: Path, first: Answer, why: str
) -> None:
    bad, good_one = start(first), start(good)
    run(tmp_path / "both", bad, good_one)
    assert_complete(tmp_path / "both")
    assert len(bad.requests) == 1  # for the second file the mirror that works is asked first
    assert len(good_one.requests) == 2

    (tmp_path / "alone").mkdir()
    line = refused(tmp_path / "alone", bad)
    assert why in line
    assert bad.url in line


def test_the_line_sums_up_every_mirror(start: Callable[..., Server], tmp_path: Path) -> None:
    missing, wrong = start(status(404)), start(serve(b"wrong"))
    line = refused(tmp_path, missing, wrong)
    assert line == (
        f"cannot download images-ubyte.gz: {missing.url}images-ubyte.gz: the server answers 404 Not Found, "
        f"{wrong.url}images-ubyte.gz: the content has 5 bytes, not 150006; try later, or with --mirror URL, "
        f"or put images-ubyte.gz, labels-ubyte.gz into the folder {tmp_path} by hand"
    )


@pytest.mark.parametrize("rest", [good_with_ranges, good])
def test_a_cut_is_resumed_or_begun_again(start: Callable[..., Server], tmp_path: Path, rest: Answer) -> None:
    server = start(cut_at(70_000), rest)
    run(tmp_path, server)
    assert_complete(tmp_path)
    first, second = FILES
    assert server.requests == [(first, None), (first, "bytes=70000-"), (second, None)]


def test_a_server_whose_ranges_lie_is_not_believed(start: Callable[..., Server], tmp_path: Path) -> None:
    def from_another_place(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        send(handler, content, 206, Content_Range=f"bytes 0-{len(content) - 1}/{len(content)}")

    run(tmp_path, start(cut_at(70_000), from_another_place, good))
    assert_complete(tmp_path)


def test_a_file_that_shrank_is_begun_again(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(cut_at(70_000), status(416), good)
    run(tmp_path, server)
    assert_complete(tmp_path)
    assert [wanted for _, wanted in server.requests] == [None, "bytes=70000-", None, None]


def test_a_mirror_that_is_always_cut_is_given_up(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(cut_at(70_000))
    assert "cut after 70000 of " in refused(tmp_path, server)
    assert len(server.requests) == 3


@pytest.mark.parametrize("size", [0, 70_000])
def test_a_stall_is_noticed(start: Callable[..., Server], tmp_path: Path, size: int) -> None:
    assert f"nothing came for 0.2 seconds after {size} bytes" in refused(
        tmp_path, start(stall_at(size)), stall_seconds=0.2
    )


def test_a_stalled_download_goes_on(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(stall_at(70_000), good_with_ranges)
    run(tmp_path, server, stall_seconds=0.5)
    assert_complete(tmp_path)
    assert server.requests[1] == ("images-ubyte.gz", "bytes=70000-")


def test_a_trickle_counts_as_a_stall(start: Callable[..., Server], tmp_path: Path) -> None:
    assert "slower than 1024 bytes a second" in refused(tmp_path, start(trickle), stall_seconds=0.2)


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# What comes first, and then again and again.
ENDLESS = {
    "a head": (b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x"),
    "lines of a head": (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
    "100 Continue": (b"", CONTINUE),
    "a size of a chunk": (HEAD, b"0"),
    "an extension of a chunk": (HEAD + b"5;", b"x"),
    "trailers": (HEAD + b"0\r\n", b"x: y\r\n"),
    "a redirection": (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b"x"),
}


def endless(first: bytes, then: bytes, pause: float) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.wfile.write(first)
        while not handler.server.stopping.wait(pause):  # type: ignore[attr-defined]
            handler.wfile.write(then)

    return answer


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ENDLESS)
def test_what_trickles_without_end_counts_as_a_stall(
    start: Callable[..., Server], tmp_path: Path, kind: str
) -> None:
    server = start(endless(*ENDLESS[kind], pause=0.04))
    assert "slower than 1024 bytes a second" in refused(tmp_path, server, stall_seconds=0.2)
    assert len(server.requests) == 3


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ENDLESS)
def test_what_comes_fast_and_without_end_is_cut(
    start: Callable[..., Server], tmp_path: Path, kind: str
) -> None:
    first, then = ENDLESS[kind]
    line = refused(tmp_path, start(endless(first, then * 1000, pause=0.0)))
    assert "more bytes than the file can have" in line or "got more than" in line  # the library's limits


@pytest.mark.timeout(20)
def test_a_try_that_lasts_is_cut(
    start: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dltrain.datasets.transfer.TRY_SECONDS", 0.3)
    server = start(endless(b"", CONTINUE * 10, pause=0.01))
    assert "not done within 0.3 seconds" in refused(tmp_path, server)


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/a", "file:///etc/passwd"])
def test_a_redirection_to_what_is_not_http(start: Callable[..., Server], tmp_path: Path, target: str) -> None:
    line = refused(tmp_path, start(lambda handler, content: send(handler, b"", 302, Location=target)))
    assert "unknown url type: ftp" in line or "redirect" in line.lower()


def test_a_redirection_is_followed(start: Callable[..., Server], tmp_path: Path) -> None:
    there = start(good)

    def elsewhere(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        send(handler, b"moved", 302, Location=there.url + handler.path.removeprefix("/mnist/"))

    run(tmp_path, start(elsewhere))
    assert_complete(tmp_path)


@pytest.mark.parametrize(
    "url", ["http://[", "http://[::1", "http://", "https:///a", "http://a:b/", "http://a:99999/"]
)
def test_a_mirror_that_is_no_url(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download-mnist", "--dir", str(tmp_path), "--mirror", url]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"{url} is not a URL that names a server" in err
    with pytest.raises(DataError, match="cannot download"):
        download(SMALL_SET, tmp_path, Said(), mirrors=[url], stall_seconds=0.2)


def test_what_killed_downloads_left_is_removed(start: Callable[..., Server], tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib\n"
        "from dltrain.datasets import published, download\n"
        "part = lambda *_: os.kill(os.getpid(), 9)\n"
        "said = type('Said', (), {'say': print, 'progress': part})()\n"
        "download.download(published.MNIST, pathlib.Path(sys.argv[1]), said, mirrors=[sys.argv[2]])\n"
    )
    server = start(lambda handler, content: send(handler, bytes(10_000)))
    for _ in range(3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(FILES, "train-images-idx3-ubyte.gz", b"")
            done = subprocess.run([sys.executable, "-c", program, str(tmp_path), server.url], check=False)
        assert done.returncode == -9
        assert len(list(tmp_path.iterdir())) == 1  # the one before is removed
    run(tmp_path, start(good))
    assert_complete(tmp_path)


def test_a_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DataError, match=r"no answer within 0\.2 seconds"):
            download(SMALL_SET, tmp_path, Said(), mirrors=[url], stall_seconds=0.2)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_and_right_is_left_alone(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(good)
    run(tmp_path, server)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert run(tmp_path, server) == [f"{name}: already there, checksum right" for name in FILES]
    assert len(server.requests) == len(FILES)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_other_compression_and_none_are_right_as_well(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(good)
    (tmp_path / "images-ubyte").write_bytes(CONTENTS["images-ubyte"])
    (tmp_path / "labels-ubyte.gz").write_bytes(gzip.compress(CONTENTS["labels-ubyte"], compresslevel=1))
    run(tmp_path, server)
    assert server.requests == []


@pytest.mark.parametrize("name", ["images-ubyte.gz", "images-ubyte"])
@pytest.mark.parametrize(
    "content", [b"", b"damaged", FILES["images-ubyte.gz"][:-1], FILES["labels-ubyte.gz"]]
)
def test_a_damaged_file_is_replaced(
    start: Callable[..., Server], tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    said = run(tmp_path, start(good))
    assert_complete(tmp_path)
    assert said[0].startswith(f"{name}: damaged, to be replaced: ")


def test_a_damaged_file_stays_when_there_is_no_better(start: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "images-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(DataError):
        run(tmp_path, start(status(404)))
    assert [path.name for path in tmp_path.iterdir()] == ["images-ubyte.gz"]


def test_a_mirror_that_serves_it_without_compression(start: Callable[..., Server], tmp_path: Path) -> None:
    run(tmp_path, start(lambda handler, content: send(handler, gzip.decompress(content))))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == CONTENTS


def test_two_at_once(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(good)
    threads = [threading.Thread(target=run, args=(tmp_path, server)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_complete(tmp_path)


def test_an_interruption_leaves_nothing(start: Callable[..., Server], tmp_path: Path) -> None:
    class Impatient(Said):
        def progress(self, *_: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(SMALL_SET, tmp_path, Impatient(), mirrors=[start(good).url])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be(start: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=f"{tmp_path}/file"):
        run(tmp_path / "file" / "folder", start(good))


def test_checksums_of_the_compressed_file(start: Callable[..., Server], tmp_path: Path) -> None:
    """As Fashion-MNIST has them: the same content compressed otherwise is then not accepted."""
    name, content = next(iter(CONTENTS.items()))
    digest = hashlib.sha256(FILES[f"{name}.gz"]).hexdigest()
    one = PublishedSet("One", [PublishedFile(name, len(content), digest, "gzip")], [start(good).url])
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=1))
    said = Said()
    download(one, tmp_path, said)
    assert (tmp_path / f"{name}.gz").read_bytes() == FILES[f"{name}.gz"]
    assert "damaged, to be replaced: the SHA-256 of its gzip is" in said[0]


class TestFrom:
    """--from PATH"""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        source = tmp_path / "source"
        source.mkdir()
        (source / "images-ubyte").write_bytes(CONTENTS["images-ubyte"])
        (source / "labels-ubyte.gz").write_bytes(FILES["labels-ubyte.gz"])
        return source

    def test_a_folder(self, source: Path, tmp_path: Path) -> None:
        assert copy_from(source, SMALL_SET, tmp_path / "to", Said()) == []
        assert (tmp_path / "to/images-ubyte").read_bytes() == CONTENTS["images-ubyte"]
        assert (tmp_path / "to/labels-ubyte.gz").read_bytes() == FILES["labels-ubyte.gz"]

    def test_one_file_whatever_its_name(self, source: Path, tmp_path: Path) -> None:
        file = (source / "labels-ubyte.gz").rename(source / "downloaded")
        assert copy_from(file, SMALL_SET, tmp_path / "to", Said()) == ["images-ubyte.gz"]
        assert [path.name for path in (tmp_path / "to").iterdir()] == ["labels-ubyte.gz"]

    def test_a_file_that_is_none_of_them(self, source: Path, tmp_path: Path) -> None:
        (source / "other").write_bytes(b"other")
        with pytest.raises(DataError, match=r"not a file of Small: .*other"):
            copy_from(source / "other", SMALL_SET, tmp_path / "to", Said())

    def test_a_damaged_file(self, source: Path, tmp_path: Path) -> None:
        (source / "images-ubyte").write_bytes(b"damaged")
        with pytest.raises(DataError, match=r"damaged file: .*images-ubyte: the content has 7 bytes"):
            copy_from(source, SMALL_SET, tmp_path / "to", Said())
        assert list((tmp_path / "to").iterdir()) == []

    def test_a_folder_that_lacks_one(self, source: Path, tmp_path: Path) -> None:
        (source / "images-ubyte").unlink()
        with pytest.raises(DataError, match=r"no images-ubyte\.gz: .*source"):
            copy_from(source, SMALL_SET, tmp_path / "to", Said())

    def test_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"no such file or folder: .*none"):
            copy_from(tmp_path / "none", SMALL_SET, tmp_path / "to", Said())

    def test_its_own_folder(self, source: Path) -> None:
        said = Said()
        assert copy_from(source, SMALL_SET, source, said) == []
        assert all("already there" in line for line in said)


class TestCommand:
    """The command itself, with the true checksums."""

    def test_from_the_real_files_by_way_of_a_server(
        self,
        start: Callable[..., Server],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        for path in REAL_MNIST.glob("*.gz"):
            monkeypatch.setitem(FILES, path.name, path.read_bytes())
        dead, server = start(status(404)), start(good)
        command = ["download-mnist", "--dir", str(tmp_path), "--mirror", dead.url, "--mirror", server.url]
        assert main(command) == 0
        out, err = capsys.readouterr()
        assert out == f"MNIST is complete in {tmp_path}\n"
        assert err.count(f"downloaded from {server.url}, checksum right\n") == 4
        for path in REAL_MNIST.glob("*.gz"):
            assert (tmp_path / path.name).read_bytes() == path.read_bytes()

    def test_from_a_folder_and_again(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["download-mnist", "--dir", str(tmp_path), "--from", str(REAL_MNIST)]) == 0
        assert capsys.readouterr().err.count("copied from") == 4
        assert main(["download-mnist", "--dir", str(tmp_path)]) == 0
        assert capsys.readouterr().err.count("already there") == 4

    def test_from_one_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = shutil.copy(REAL_MNIST / "t10k-labels-idx1-ubyte.gz", tmp_path / "x")
        assert main(["download-mnist", "--dir", str(tmp_path / "to"), "--from", str(file)]) == 0
        assert capsys.readouterr().out == (
            f"{tmp_path / 'to'} still lacks train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
            "t10k-images-idx3-ubyte.gz\n"
        )

    def test_no_server_at_all(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.chdir(tmp_path)
        with socket.create_server(("127.0.0.1", 0)) as closed:
            url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert main(["download-mnist", "--mirror", url]) == 3
        out, err = capsys.readouterr()
        assert out == ""
        assert err == (
            f"dltrain: error: cannot download train-images-idx3-ubyte.gz: {url}/train-images-idx3-ubyte.gz: "
            "Connection refused; try later, or with --mirror URL, or put train-images-idx3-ubyte.gz, "
            "train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz "
            "into the folder data/mnist by hand\n"
        )

    def test_fashion_mnist_has_a_folder_of_its_own(
        self,
        start: Callable[..., Server],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setitem(published.PUBLISHED, "fashion_mnist", SMALL_SET)
        server = start(good)
        assert main(["download-mnist", "--dataset", "fashion_mnist", "--mirror", server.url]) == 0
        assert_complete(tmp_path / "data/fashion_mnist")
        assert capsys.readouterr().out == "Small is complete in data/fashion_mnist\n"

    @pytest.mark.parametrize(
        ("arguments", "fact"),
        [
            (["--mirror", "ftp://a/b"], "ftp://a/b is not a URL that begins with http:// or https://"),
            (["--mirror", "http://127.0.0.1", "--from", "."], "--from and --mirror exclude each other"),
            (["--dataset", "cifar"], "cifar"),
            (["--mirrors", "x"], "no such option: --mirrors: dltrain download-mnist; did you mean --mirror?"),
            (["more"], "unexpected extra argument"),
        ],
    )
    def test_wrong_usage(self, arguments: list[str], fact: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["download-mnist", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert fact in line

    def test_help_has_an_example(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["download-mnist", "--help"]) == 0
        assert "Example: dltrain download-mnist" in capsys.readouterr().out


def test_a_home_that_the_shell_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in --dir '~/data/m', which made a folder called ~."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(published.PUBLISHED, "mnist", SMALL_SET)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    assert main(["download-mnist", "--dir", "~/data/m", "--from", str(tmp_path)]) == 0
    assert_complete(tmp_path / "home/data/m")
    assert main(["download-mnist", "--dir", "again", "--from", "~/data/m"]) == 0
    assert_complete(tmp_path / "again")
    assert not (tmp_path / "~").exists()
