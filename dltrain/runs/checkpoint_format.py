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
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from dltrain.errors import RunError
from dltrain.files.plain import read_plain_file
from dltrain.runs.damage import damaged_checkpoint, described
from dltrain.training.state import Count

FORMAT = 2
STATE = "state.safetensors"
MANIFEST = "checkpoint.json"

_DTYPES = {"float32": "F32", "float64": "F64", "int64": "I64", "uint8": "U8", "bool": "BOOL"}
_LARGEST_MANIFEST = 2**20  # bytes
_SEAL = b',\n "sha256": "'


class NewerFormatError(RunError):
    """A checkpoint was written by a later version of dltrain."""


class Manifest(BaseModel):
    """The content of `checkpoint.json`.

    Attributes:
        step, epoch: where training stood.
        best_step: step of the best checkpoint so far, or None.
        arrays: dtype and shape of each array by name.
        trainer: the trainer's own plain data.
        state_bytes, state_sha256: size and hash of the state file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: Count
    epoch: Count
    best_step: Count | None
    arrays: dict[str, dict[str, Any]]
    trainer: dict[str, Any]
    state_bytes: Count
    state_sha256: str

    def to_bytes(self) -> bytes:
        document = {"format": FORMAT} | self.model_dump() | {"trainer": _to_json(self.trainer)}
        body = json.dumps(document, indent=1, allow_nan=False).removesuffix("\n}").encode() + _SEAL
        return body + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Reads and verifies the file at `path`. Raises OSError or RunError."""
        data = read_plain_file(path, at_most=_LARGEST_MANIFEST, error=RunError)
        body, seal, end = data.rpartition(_SEAL)
        if not seal or end != hashlib.sha256(body + seal).hexdigest().encode() + b'"\n}\n':
            raise damaged_checkpoint(path, "its content does not match its SHA-256")
        try:
            document = json.loads(body + b"}", object_hook=_from_json)
        except (ValueError, RecursionError) as error:
            raise damaged_checkpoint(path, f"it is not JSON ({error})") from error
        version = document.pop("format", None) if isinstance(document, dict) else None
        if type(version) is not int or version < 0:
            raise damaged_checkpoint(path, "it names no format version")
        if version > FORMAT:
            raise NewerFormatError(
                "checkpoint of a later dltrain",
                where=str(path),
                why=f"its format is {version}, this version reads up to {FORMAT}",
                fix="install a newer dltrain-numpy",
            )
        if version < 2:
            _name_target(document)
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise damaged_checkpoint(path, described(error)) from None


def _name_target(document: dict[str, Any]) -> None:
    """Changes what format 1 said of a data set to what format 2 says: the target in place of its classes.

    What is not as format 1 had it is left for those to refuse who read it.
    """
    trainer = document.get("trainer")
    data = trainer.get("data") if isinstance(trainer, dict) else None
    if isinstance(data, dict) and "classes" in data:
        classes = data.pop("classes")
        data["target"] = {"kind": "label", "classes": classes}
        if classes is None:
            data["target"] = {"kind": "input", "shape": data.get("input_shape")}


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
        raise damaged_checkpoint(path, "its content does not match its SHA-256")
    try:
        arrays = safetensors.numpy.load(data)
        described = describe_arrays(arrays)
    except Exception as error:  # whatever the library makes of a file from a stranger
        raise damaged_checkpoint(path, f"it is no safetensors file of dltrain ({str(error)!r})") from error
    if described != manifest.arrays:
        raise damaged_checkpoint(path, f"its arrays are not those that {MANIFEST} lists")
    return {name: arrays[name] for name in manifest.arrays}


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


def _from_json(value: dict[str, Any]) -> Any:
    if value.keys() == {"float"} and value["float"] in ("nan", "inf", "-inf"):
        return float(value["float"])
    return value
