"""Brings one URL into one open file: in several tries, each of which goes on where the last one was cut."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO
from urllib import request
from urllib.error import HTTPError, URLError

TRIES = 3
CHUNK = 2**16
MINIMUM_RATE = 1024  # bytes a second, on average over one stall time: less counts as a stall
TRY_SECONDS = 3600  # for all of one try, however fast it comes; the next goes on from there
HEADS = 2**16  # bytes of all heads of one try, redirections included


class TransferError(Exception):
    """This URL does not give the file; says why."""


class _Interrupted(TransferError):
    """The transfer began and stopped: another try may go on from there."""


def transfer(
    url: str,
    file: BinaryIO,
    *,
    size_limit: int,
    stall_seconds: float,
    progress: Callable[[int, int | None], None],
) -> None:
    """Writes what `url` serves (http or https) into the empty `file`.

    Arguments:
        size_limit: bytes; a larger answer is refused. What comes in one try besides the content (heads, sizes
            of chunks, trailers) may be as much again, and `HEADS`.
        stall_seconds: how long to wait for a connection and for the next bytes. All that comes must come at
            `MINIMUM_RATE`, from the first byte of a head on, within `TRY_SECONDS`.
        progress: called with the bytes received and the bytes expected (None if the server does not say).

    Raises:
        TransferError: the server cannot be reached, refuses, or was interrupted three times.
        OSError: the file cannot be written.
    """
    for _ in range(TRIES - 1):
        with suppress(_Interrupted):
            return _transfer_rest(url, file, size_limit, stall_seconds, progress)
    return _transfer_rest(url, file, size_limit, stall_seconds, progress)


def _transfer_rest(
    url: str,
    file: BinaryIO,
    size_limit: int,
    stall_seconds: float,
    progress: Callable[[int, int | None], None],
) -> None:
    received = file.tell()
    headers = {"User-Agent": "dltrain", "Accept-Encoding": "identity"}
    if received:
        headers["Range"] = f"bytes={received}-"
    try:
        opener = _opener(_Meter(2 * size_limit + HEADS, stall_seconds))
        response = opener.open(request.Request(url, headers=headers), timeout=stall_seconds)
    except HTTPError as error:
        error.close()
        if error.code == 416 and received:  # the server's file ends before ours: begin again
            _empty(file)
            raise _Interrupted("the server's file changed its size") from None
        raise TransferError(f"the server answers {error.code} {error.reason}") from None
    except TimeoutError:
        raise _Interrupted(f"no answer within {stall_seconds:g} seconds") from None
    except (OSError, HTTPException, ValueError, OverflowError) as error:
        raise TransferError(_reason(error)) from None

    with response:
        if received and not (
            response.status == 206
            and response.headers.get("Content-Range", "").startswith(f"bytes {received}-")
        ):
            received = _empty(file)
        expected = None if response.length is None else received + response.length
        if expected is not None and expected > size_limit:
            raise TransferError(f"it serves {expected} bytes, more than the file can have")
        while True:
            try:
                part = response.read1(CHUNK)
            except TimeoutError:
                raise _Interrupted(
                    f"nothing came for {stall_seconds:g} seconds after {received} bytes"
                ) from None
            except (OSError, HTTPException) as error:
                raise _Interrupted(f"cut after {received} bytes ({_reason(error)})") from None
            if not part:
                break
            file.write(part)
            received += len(part)
            if received > size_limit:
                raise TransferError("it serves more bytes than the file can have")
            progress(received, expected)
        if expected is not None and received < expected:
            raise _Interrupted(f"cut after {received} of {expected} bytes")


class _Meter:
    """Counts what comes from the network in one try; raises when it is too much, too slow or too late."""

    def __init__(self, most: int, stall_seconds: float) -> None:
        self._left, self._stall_seconds = most, stall_seconds
        self._start = self._window_start = time.monotonic()
        self._window_received = 0

    def count(self, received: int) -> None:
        self._left -= received
        if self._left < 0:
            raise TransferError("it serves more bytes than the file can have")
        self._window_received += received
        now = time.monotonic()
        if now - self._start > TRY_SECONDS:
            raise _Interrupted(f"not done within {TRY_SECONDS} seconds")
        elapsed = now - self._window_start
        if elapsed >= self._stall_seconds:
            if self._window_received < MINIMUM_RATE * elapsed:
                raise _Interrupted(f"slower than {MINIMUM_RATE} bytes a second")
            self._window_start, self._window_received = now, 0


class _Metered(RawIOBase):
    """What comes over a socket, counted."""

    def __init__(self, raw: Any, meter: _Meter) -> None:
        self._raw, self._meter = raw, meter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        received: int = self._raw.readinto(buffer)
        self._meter.count(received)
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """An answer that is metered from the first byte of its head on, whoever reads it."""

    def __init__(self, meter: _Meter, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.fp = BufferedReader(_Metered(self.fp.detach(), meter))


def _opener(meter: _Meter) -> request.OpenerDirector:
    """For http and https, through proxies and redirections; these cannot lead to anything else."""

    def connection(kind: type[HTTPConnection], *arguments: Any, **keywords: Any) -> HTTPConnection:
        made = kind(*arguments, **keywords)
        made.response_class = partial(_Response, meter)  # type: ignore[assignment]  # called as a class is
        return made

    class Handler(request.HTTPHandler, request.HTTPSHandler):
        def http_open(self, asked: request.Request) -> HTTPResponse:
            return self.do_open(partial(connection, HTTPConnection), asked)

        def https_open(self, asked: request.Request) -> HTTPResponse:
            return self.do_open(partial(connection, HTTPSConnection), asked)

    opener = request.OpenerDirector()
    for handler in (
        Handler(),
        request.ProxyHandler(),
        request.HTTPRedirectHandler(),
        request.HTTPErrorProcessor(),
        request.HTTPDefaultErrorHandler(),
        request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _empty(file: BinaryIO) -> int:
    file.seek(0)
    return file.truncate()


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)
