"""Damage of any kind to a checkpoint is detected, and so is forgery."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from checkpoint_helpers import fail, flip, save

from dltrain.errors import RunError
from dltrain.runs.checkpoint_format import MANIFEST, STATE, NewerFormatError
from dltrain.runs.checkpoints import CheckpointStore


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path)


@contextmanager
def restored(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data
    path.write_bytes(data)


@pytest.mark.parametrize("name", [STATE, MANIFEST, "last"])
def test_every_flipped_bit_and_every_truncation_is_detected(store: CheckpointStore, name: str) -> None:
    save(store, 2)
    folder = save(store, 3)  # so that a damaged pointer may name another that is whole
    path = store.folder / "last" if name == "last" else folder / name
    with restored(path) as data:
        assert len(data) < 2048
        for bit in range(len(data) * 8):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with pytest.raises(RunError):
                store.load("last")
        for length in range(len(data)):
            path.write_bytes(data[:length])
            with pytest.raises(RunError):
                store.load("last")
        for addition in (b"\0", b"\n", b" ", b"}"):
            path.write_bytes(data + addition)
            with pytest.raises(RunError):
                store.load("last")
    assert store.load("last").step == 3


def remove_state(folder: Path) -> None:
    (folder / STATE).unlink()


def remove_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def take_state_of_another(folder: Path) -> None:
    shutil.copy(folder.with_name("step-00000020") / STATE, folder / STATE)


def take_all_of_another(folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("step-00000020"), folder)


def empty(folder: Path) -> None:
    (folder / STATE).write_bytes(b"")


def become_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"")


def link_outside(folder: Path) -> None:
    (folder / STATE).rename(folder.parent.parent / "elsewhere")
    (folder / STATE).symlink_to(folder.parent.parent / "elsewhere")


def pipe(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    os.mkfifo(folder / MANIFEST)


@pytest.mark.parametrize(
    "damage",
    [
        remove_state,
        remove_manifest,
        take_state_of_another,
        take_all_of_another,
        empty,
        become_a_file,
        link_outside,
        pipe,
    ],
)
def test_damage_is_reported_and_the_one_before_is_used(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    (tmp_path / "checkpoints").mkdir()
    store = CheckpointStore(tmp_path / "checkpoints")
    save(store, 20, best=True)
    newest = save(store, 30, best=True)
    damage(newest)
    with pytest.raises(RunError) as caught:
        store.load("best")
    assert str(newest) in str(caught.value)
    reported = []
    checkpoint = store.load_newest(lambda path, error: reported.append((path, type(error))))
    assert checkpoint.step == 20
    assert reported == [(newest, RunError)]
    # From now on both pointers say where training stands, and the next save goes on as usual.
    assert store.load("best").step == store.load("last").step == 20
    if newest.is_dir():
        save(store, 30)
        assert store.load_newest(fail).step == 30


def test_nothing_usable_is_an_error(store: CheckpointStore) -> None:
    with pytest.raises(RunError, match="no usable checkpoint"):
        store.load_newest(fail)
    with pytest.raises(RunError, match="has no best checkpoint"):
        store.load("best")
    save(store, 1)
    with pytest.raises(RunError, match="has no best checkpoint"):
        store.load("best")
    for wrong in ("", "nothing", "step-1", "../..", "bestx", store.folder):
        with pytest.raises(RunError, match="not a checkpoint"):
            store.load(wrong)
    with pytest.raises(RunError, match="no such checkpoint"):
        store.load("step-00000009")
    flip(store.folder / "step-00000001" / STATE, 80)
    reported = []
    with pytest.raises(RunError, match="no usable checkpoint"):
        store.load_newest(lambda path, error: reported.append(path.name))
    assert reported == ["step-00000001"]


def test_a_pointer_is_not_believed_over_what_is_there(store: CheckpointStore) -> None:
    save(store, 1)
    old = (store.folder / "last").read_bytes()
    save(store, 2)
    (store.folder / "last").write_bytes(old)
    assert store.load_newest(fail).step == 2
    assert store.load("last").step == 2
    (store.folder / "last").unlink()
    assert store.load_newest(fail).step == 2


# --- files from a stranger, whose hashes are right ---


def forge(folder: Path, state: bytes | None = None, **changes: Any) -> None:
    """Rewrites a checkpoint with other content under a valid seal."""
    text, seal, _ = (folder / MANIFEST).read_bytes().rpartition(b',\n "sha256": "')
    document = json.loads(text + b"}")
    if state is not None:
        (folder / STATE).write_bytes(state)
        document |= {"state_bytes": len(state), "state_sha256": hashlib.sha256(state).hexdigest()}
    document = {key: value for key, value in (document | changes).items() if value != "absent"}
    body = json.dumps(document).removesuffix("}").encode() + seal
    (folder / MANIFEST).write_bytes(body + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n')


def header(**entries: Any) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "changes",
    [
        {"step": -1},
        {"step": True},
        {"step": "absent"},
        {"epoch": 1.5},
        {"best_step": "3"},
        {"arrays": []},
        {"arrays": {}},
        {"trainer": None},
        {"state_bytes": 10**30},
        {"state_bytes": 1},
        {"state_sha256": 1},
        {"format": 0.5},
        {"format": "absent"},
        {"another": 1},
        {"state": b""},
        {"state": b"\xff" * 8},
        {"state": (2**40).to_bytes(8, "little") + b"{}"},
        {"state": header(w={"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 0]})},
        {"state": header(w={"dtype": "F32", "shape": [2**62], "data_offsets": [0, 2**64 - 1]})},
        {"state": header(w={"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})},
        {"state": header(w={"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}) + bytes(4)},
        {"state": header(w={"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}) + bytes(4)},
        {"state": header(w={"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}) + bytes(4)},
        {"state": header(w={"dtype": "object", "shape": [2], "data_offsets": [0, 4]}) + bytes(4)},
        {"state": (1000).to_bytes(8, "little") + b"[" * 1000},
    ],
    ids=str,
)
def test_forged_content_is_refused(store: CheckpointStore, changes: dict[str, Any]) -> None:
    folder = save(store, 3)
    forge(folder)
    assert store.load("last").step == 3
    forge(folder, **changes)
    with pytest.raises(RunError) as caught:
        store.load("last")
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_deep_nesting_and_wrong_numbers_are_refused(store: CheckpointStore) -> None:
    path = save(store, 3) / MANIFEST
    for text in (
        b'{"a": ' + b"[" * 100_000,
        b'{"format": ' + b"9" * 5000,
        b"\xff",
        b"null",
        b'{"format": []',
    ):
        body = text + b',\n "sha256": "'
        path.write_bytes(body + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n')
        with pytest.raises(RunError, match="damaged checkpoint"):
            store.load("last")


def test_a_later_format_stops_instead_of_losing_steps(store: CheckpointStore) -> None:
    save(store, 3)
    forge(save(store, 4), format=3, keys_to_come={})
    with pytest.raises(NewerFormatError, match="its format is 3, this version reads up to 2"):
        store.load("last")
    with pytest.raises(NewerFormatError):
        store.load_newest(fail)
