"""Readers of files, fuzzed: whatever is in a file, a reader gives a valid object or a typed error, soon.

The same targets run for longer, guided by coverage, with `tests/reliability/fuzz/with_atheris.py`.
"""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from reliability.fuzz.bounds import bounded
from reliability.fuzz.mutations import mutated, mutated_json
from reliability.fuzz.repair import gzipped, with_png_checksums
from reliability.fuzz.targets import TARGETS, idx, npy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to limit memory")
EXAMPLES = 150
FEWER = {name: 60 for name in TARGETS if name.startswith(("checkpoint", "failure", "run", "metrics"))}


@pytest.fixture
def unflushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk makes no difference here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.parametrize("times", [1, pytest.param(30, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
@pytest.mark.parametrize("name", TARGETS)
def test_changed_files(name: str, times: int, tmp_path: Path, unflushed: None) -> None:
    target = TARGETS[name]
    seeds = target.seeds(tmp_path)
    for seed in seeds:
        target.read(tmp_path, seed)
    contents = mutated(seeds) | mutated_json(seeds) if target.json else mutated(seeds)

    @settings(
        max_examples=times * FEWER.get(name, EXAMPLES),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(contents)
    def read(content: bytes) -> None:
        with bounded():
            target.read(tmp_path, content)

    read()


def png(*chunks: bytes) -> bytes:
    """Each chunk is its type and its content."""
    parts = [(len(chunk) - 4).to_bytes(4, "big") + chunk + bytes(4) for chunk in chunks]
    return with_png_checksums(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def npy_file(header: bytes) -> bytes:
    return b"\x93NUMPY\2\0" + (len(header) + 1).to_bytes(4, "little") + header + b"\n"


def picture_of(width: int, height: int) -> bytes:
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 6, 0, 0, 0])
    return png(head, b"IDAT" + zlib.compress(bytes(10**6)), b"IEND")


SIGNALLING_NAN = np.array([0x7FF0000000000001] * 16, np.uint64).view("f8").reshape(1, 4, 4)
LONG = 2**16 - 40  # bytes; the longest config that is read
HEAD = b"IHDR" + bytes([0, 0, 0, 4] * 2 + [8, 0, 0, 0, 0])
SHAPE = b"{'descr': '<f8', 'fortran_order': False, 'shape': ("

NESTED_JSON = b'{"a":' * 10**5
WORST = {
    "a NaN that warns when it is converted": {"idx": idx(SIGNALLING_NAN), "npy": npy(SIGNALLING_NAN)},
    "a picture without pixels": {"png": png(HEAD, b"IEND")},
    "a picture with colours it has no table for": {
        "png": png(HEAD[:13] + b"\3" + HEAD[14:], b"IDAT" + zlib.compress(bytes(20)), b"IEND")
    },
    "a large picture": {"png": picture_of(10_000, 10_000)},
    "a larger picture": {"png": picture_of(30_000, 30_000)},
    "text that grows": {"png": png(HEAD, b"zTXta\0\0" + zlib.compress(bytes(10**8)))},
    "a gzip file that grows": {"gzip": gzipped(idx(np.zeros((1, 4, 4), np.uint8)) + bytes(10**8))},
    "millions of dimensions": {"npy": npy_file(SHAPE + b"1," * 10**6 + b")}")},
    "a header nested deeply": {"npy": npy_file(b"(" * 9000), "npz_inputs": npy_file(b"[" * 9000)},
    "keys without end": {"config": b"".join(b"k%d: 1\n" % n for n in range(LONG // 13))},
    "a list without end": dict.fromkeys(["config", "run_config"], b"a: [" + b"1," * (LONG // 2) + b"]"),
    "a config nested deeply": {"config": b"{a: " * (LONG // 4), "override": b"a=" + b"[" * LONG},
    "a file larger than configs are": dict.fromkeys(["config", "run_config"], b"a" * 10**8),
    "dots without end": {"override": b"a." * LONG + b"=1"},
    "lists without end": {
        "run_record": b'{"resumed": [' + b"{}," * 2**19 + b"{}]}",
        "checkpoint_manifest": b'{"a": [' + b"[]," * 2**18 + b"[]]}",
    },
    "JSON nested deeply": {"run_record": b"[" * 10**6, "checkpoint_manifest": NESTED_JSON},
    "a number without end": dict.fromkeys(["run_record", "checkpoint_manifest"], b'{"a": ' + b"1" * 10**6),
    "a state of any size": {"checkpoint_state": (2**63).to_bytes(8, "little") + b"{}"},
    "a pointer without end": {"checkpoint_pointer": b"step-" + b"0" * 10**8},
    "a line without end": {"metrics_table": b"epoch," * 10**7, "metrics_lines": b"{" * 10**8},
}


@pytest.mark.parametrize("case", WORST)
def test_the_worst_files(case: str, tmp_path: Path, unflushed: None) -> None:
    for name, content in WORST[case].items():
        target = TARGETS[name]
        target.seeds(tmp_path)
        with bounded():
            target.read(tmp_path, content)
