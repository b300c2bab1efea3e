"""Brings one URL into one open file: in several tries, each of which goes on where the last one was cut."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

TRIES = 3
CHUNK = 2**16
MINIMUM_RATE = 1024  # bytes a second, on average over one stall time: less counts as a stall


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
        size_limit: bytes; a larger answer is refused.
        stall_seconds: how long to wait for a connection and for the next bytes.
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
    request = Request(url, headers={"User-Agent": "dltrain", "Accept-Encoding": "identity"})
    if received:
        request.add_header("Range", f"bytes={received}-")
    try:
        response = urlopen(request, timeout=stall_seconds)
    except HTTPError as error:
        error.close()
        if error.code == 416 and received:  # the server's file ends before ours: begin again
            _empty(file)
            raise _Interrupted("the server's file changed its size") from None
        raise TransferError(f"the server answers {error.code} {error.reason}") from None
    except TimeoutError:
        raise _Interrupted(f"no answer within {stall_seconds:g} seconds") from None
    except (OSError, HTTPException, ValueError) as error:
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
        window_start, window_received = time.monotonic(), received
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
            elapsed = time.monotonic() - window_start
            if elapsed >= stall_seconds:
                if received - window_received < MINIMUM_RATE * elapsed:
                    raise _Interrupted(f"slower than {MINIMUM_RATE} bytes a second after {received} bytes")
                window_start, window_received = time.monotonic(), received
        if expected is not None and received < expected:
            raise _Interrupted(f"cut after {received} of {expected} bytes")


def _empty(file: BinaryIO) -> int:
    file.seek(0)
    return file.truncate()


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)
