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


Progress = Callable[[int, int | None], None]
"""progress(received, expected): so many bytes have come, of so many (None: the server does not say)."""


class TransferError(Exception):
    """This source does not give the file; says why."""


class _Interrupted(TransferError):
    """The transfer began and stopped: another try may go on from there."""


def transfer(url: str, file: BinaryIO, *, size_limit: int, stall_seconds: float, progress: Progress) -> None:
    """Writes what `url` serves (http or https) into the empty `file`.

    Arguments:
        size_limit: bytes; a larger answer is refused. What comes in one try besides the content (heads, sizes
            of chunks, trailers) may be as much again, and `HEADS`.
        stall_seconds: how long to wait for a connection and for the next bytes. All that comes must come at
            `MINIMUM_RATE`, from the first byte of a head on, within `TRY_SECONDS`.
        progress: called after each part.

    Raises:
        TransferError: the server cannot be reached, refuses, or was interrupted three times.
        OSError: the file cannot be written.
    """
    rest = partial(_transfer_rest, url, file, size_limit, stall_seconds, progress)
    for _ in range(TRIES - 1):
        with suppress(_Interrupted):
            return rest()
    return rest()


def _transfer_rest(
    url: str, file: BinaryIO, size_limit: int, stall_seconds: float, progress: Progress
) -> None:
    received = file.tell()
    headers = {"User-Agent": "dltrain", "Accept-Encoding": "identity"}
    if received:
        headers["Range"] = f"bytes={received}-"
    try:
        opener = _opener(_MeteredHandler(2 * size_limit + HEADS, stall_seconds))
        response = opener.open(request.Request(url, headers=headers), timeout=stall_seconds)
    except HTTPError as error:
        error.close()
        if error.code == 416 and received:  # the server's file ends before ours: begin again
            file.truncate(file.seek(0))
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
            received = file.truncate(file.seek(0))
        expected = None if response.length is None else received + response.length
        if expected is not None and expected > size_limit:
            raise TransferError(f"it serves {expected} bytes, more than the file can have")
        while True:
            try:
                part = response.read1(CHUNK)
            except TimeoutError:
                why = f"nothing came for {stall_seconds:g} seconds after {received} bytes"
                raise _Interrupted(why) from None
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


class _MeteredHandler(request.HTTPHandler, request.HTTPSHandler):
    """http and https for one try, in which all that comes is counted, from the first byte of a head on.

    Whoever reads it, TransferError is raised when it is too much, too slow or too late.
    """

    def __init__(self, most: int, stall_seconds: float) -> None:
        super().__init__()
        self._left, self._stall_seconds = most, stall_seconds
        self._start = self._window_start = time.monotonic()
        self._window_received = 0

    def http_open(self, asked: request.Request) -> HTTPResponse:
        return self.do_open(partial(self._connection, HTTPConnection), asked)

    def https_open(self, asked: request.Request) -> HTTPResponse:
        return self.do_open(partial(self._connection, HTTPSConnection), asked)

    def _connection(self, kind: type[HTTPConnection], *arguments: Any, **keywords: Any) -> HTTPConnection:
        made = kind(*arguments, **keywords)
        made.response_class = self._response  # type: ignore[assignment]  # called as a class is
        return made

    def _response(self, *arguments: Any, **keywords: Any) -> HTTPResponse:
        response = HTTPResponse(*arguments, **keywords)
        response.fp = BufferedReader(_Counted(response.fp.detach(), self._count))
        return response

    def _count(self, received: int) -> None:
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


class _Counted(RawIOBase):
    """What comes over a socket; `count` is told how many bytes at a time."""

    def __init__(self, raw: Any, count: Callable[[int], None]) -> None:
        self._raw, self._count = raw, count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        received: int = self._raw.readinto(buffer)
        self._count(received)
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


def _opener(handler: request.BaseHandler) -> request.OpenerDirector:
    """What opens by `handler` alone, through proxies and redirections; these cannot lead to anything else."""
    opener = request.OpenerDirector()
    opener.add_handler(handler)
    for kind in (
        request.ProxyHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
        request.HTTPDefaultErrorHandler,
        request.UnknownHandler,
    ):
        opener.add_handler(kind())
    return opener


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)
