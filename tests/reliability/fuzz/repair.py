"""Makes checksums right again, so that what lies behind them is reached."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
import zlib

SEAL = b',\n "sha256": "'


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def zipped(arrays: dict[str, bytes]) -> bytes:
    """A zip of entries `NAME.npy`, as numpy.savez makes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content)
    return file.getvalue()


def with_png_checksums(content: bytes) -> bytes:
    """The PNG file with the right CRC in each chunk, as far as chunks can be told."""
    fixed = bytearray(content)
    position = 8
    while position + 12 <= len(fixed):
        end = position + 8 + int.from_bytes(fixed[position : position + 4], "big")
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = zlib.crc32(fixed[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return bytes(fixed)


def sealed(document: bytes) -> bytes:
    """The JSON object as the content of a `checkpoint.json` with the right SHA-256."""
    body = document.strip().removesuffix(b"}").rstrip() + SEAL
    return body + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def unsealed(manifest: bytes) -> bytes:
    """The JSON object in a `checkpoint.json`, less its SHA-256."""
    return manifest.rpartition(SEAL)[0] + b"\n}"


def sealed_for(state: bytes, manifest: bytes) -> bytes:
    """The content of `checkpoint.json` that vouches for this state file."""
    document = json.loads(unsealed(manifest))
    document |= {"state_bytes": len(state), "state_sha256": hashlib.sha256(state).hexdigest()}
    return sealed(json.dumps(document).encode())
