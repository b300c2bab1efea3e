"""What the two files of a checkpoint hold, and how they are checked before they are believed.

`state.safetensors` is in the safetensors format (https://github.com/huggingface/safetensors): the length of a
JSON header as a little-endian uint64, the header, the bytes of all arrays. It is written here, straight from
the arrays, and read by the safetensors library, so that each save is checked by code that did not write it.

`checkpoint.json` ends with the SHA-256 of all its bytes before that, and holds the SHA-256 of the state.
Numbers that are not finite, which JSON lacks, are written as `{"float": "inf"}`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from dltrain.errors import RunError
from dltrain.files.plain import read_plain_file

FORMAT = 1
STATE = "state.safetensors"
MANIFEST = "checkpoint.json"

_DTYPES = {"float32": "F32", "float64": "F64", "int64": "I64", "uint8": "U8", "bool": "BOOL"}
_LARGEST_MANIFEST = 2**20  # bytes
_SEAL = b',\n "sha256": "'


class NewerFormatError(RunError):
    """A checkpoint was written by a later version of dltrain."""


@dataclass(frozen=True)
class Manifest:
    """The content of `checkpoint.json`.

    Attributes:
        step, epoch: where training stood.
        best_step: step of the best checkpoint so far, or None.
        arrays: dtype and shape of each array by name.
        trainer: the trainer's own plain data.
        state_bytes, state_sha256: size and hash of the state file.
    """

    step: int
    epoch: int
    best_step: int | None
    arrays: dict[str, dict[str, Any]]
    trainer: dict[str, Any]
    state_bytes: int
    state_sha256: str

    def to_bytes(self) -> bytes:
        document = {"format": FORMAT} | asdict(self) | {"trainer": _to_json(self.trainer)}
        body = json.dumps(document, indent=1, allow_nan=False).removesuffix("\n}").encode() + _SEAL
        return body + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Reads and verifies the file at `path`. Raises OSError or RunError."""
        data = read_plain_file(path, at_most=_LARGEST_MANIFEST, error=RunError)
        body, seal, end = data.rpartition(_SEAL)
        if not seal or end != hashlib.sha256(body + seal).hexdigest().encode() + b'"\n}\n':
            raise damaged(path, "its content does not match its SHA-256")
        try:
            document = json.loads(body + b"}")
        except (ValueError, RecursionError) as error:
            raise damaged(path, f"it is not JSON ({error})") from error
        if not isinstance(document, dict) or not _is_count(document.get("format")):
            raise damaged(path, "it names no format version")
        if document["format"] > FORMAT:
            raise NewerFormatError(
                "checkpoint of a later dltrain",
                where=str(path),
                why=f"its format is {document['format']}, this version reads up to {FORMAT}",
                fix="install a newer dltrain-numpy",
            )
        del document["format"]
        best_step = document.get("best_step")
        valid = (
            document.keys() == {field.name for field in fields(cls)}
            and all(_is_count(document[key]) for key in ("step", "epoch", "state_bytes"))
            and (best_step is None or _is_count(best_step))
            and all(isinstance(document[key], dict) for key in ("arrays", "trainer"))
            and isinstance(document["state_sha256"], str)
        )
        if not valid:
            raise damaged(path, "its keys are not those of a checkpoint")
        return cls(**document | {"trainer": _from_json(document["trainer"])})


def describe_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Dtype and shape of each array, as plain data. Raises TypeError for a dtype that dltrain has not."""
    for name, array in arrays.items():
        if array.dtype.name not in _DTYPES:
            raise TypeError(f"array {name!r} is {array.dtype}, not one of {', '.join(_DTYPES)}")
    return {name: {"dtype": array.dtype.name, "shape": list(array.shape)} for name, array in arrays.items()}


def array_parts(arrays: Mapping[str, np.ndarray]) -> Iterator[bytes | memoryview]:
    """The content of a safetensors file, piece by piece; only arrays that are not contiguous are copied."""
    header: dict[str, Any] = {}
    end = 0
    for name, description in describe_arrays(arrays).items():
        start, end = end, end + arrays[name].nbytes
        dtype = _DTYPES[description["dtype"]]
        header[name] = {"dtype": dtype, "shape": description["shape"], "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays start at a multiple of 8
    yield len(text).to_bytes(8, "little") + text
    for array in arrays.values():
        little_endian = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
        yield little_endian.reshape(-1).view(np.uint8).data


def parse_arrays(path: Path, data: bytes, manifest: Manifest) -> dict[str, np.ndarray]:
    """The arrays in `data`, the content of the state file at `path`, in the manifest's order.

    Allocates no more than `data` is long. Raises RunError.
    """
    import safetensors.numpy  # deferred: reading a run's name or settings needs no library for arrays

    if len(data) != manifest.state_bytes or hashlib.sha256(data).hexdigest() != manifest.state_sha256:
        raise damaged(path, "its content does not match its SHA-256")
    try:
        arrays = safetensors.numpy.load(data)
        described = describe_arrays(arrays)
    except Exception as error:  # whatever the library makes of a file from a stranger
        raise damaged(path, f"it is no safetensors file of dltrain ({str(error)!r})") from error
    if described != manifest.arrays:
        raise damaged(path, f"its arrays are not those that {MANIFEST} lists")
    return {name: arrays[name] for name in manifest.arrays}


def damaged(path: Path, why: str) -> RunError:
    """The error for a checkpoint, or a file of one, that must not be used."""
    return RunError(
        "damaged checkpoint",
        where=str(path),
        why=why,
        fix="use another checkpoint of the run, or train again",
    )


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _to_json(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {key: _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"float"} and value["float"] in ("nan", "inf", "-inf"):
            return float(value["float"])
        return {key: _from_json(item) for key, item in value.items()}
    return value
