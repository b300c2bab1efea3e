"""Checkpoints are whole or absent; damage of any kind is detected; a save that fails loses nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from dltrain.errors import RunError, StorageError
from dltrain.training.checkpoint_format import MANIFEST, STATE, NewerFormatError
from dltrain.training.checkpoints import CheckpointStore


def arrays(step: int) -> dict[str, np.ndarray]:
    return {"dense/weights": np.full((2, 3), step, np.float32), "step": np.array(step)}


def save(store: CheckpointStore, step: int, *, best: bool = False) -> Path:
    return store.save(step, step // 2, arrays(step), {"patience": step}, best)


def fail(path: Path, error: RunError) -> None:
    raise AssertionError(f"{path} reported as damaged: {error}")


def names(store: CheckpointStore) -> list[str]:
    return sorted(os.listdir(store.folder))


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path)


# --- what is saved comes back ---


def test_everything_comes_back_bit_for_bit(store: CheckpointStore) -> None:
    saved = {
        "float32": np.array([[1.5, -0.0, np.nan], [np.inf, 1e-45, 3]], np.float32),
        "a/b/float64": np.linspace(0, 1, 7).reshape(7, 1),
        "int64": np.array([-(2**63), 2**63 - 1]),
        "uint8": np.arange(5, dtype=np.uint8),
        "bool": np.array([True, False, True]),
        "0-d": np.array(3.25, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "strided": np.arange(10)[::-3],
        "a name\n\u00e9 ../../x": np.ones(1),
    }
    state = {"best": {"loss": 0.1 + 0.2, "epoch": 3}, "history": [1, 2.5, None, "x", True], "worst": math.inf}
    state |= {
        "unknown": math.nan,
        "scalar": np.float32(0.1),
        "tuple": (-math.inf,),
        "like": {"float": "inf!"},
    }
    path = store.save(469, 1, saved, state, best=True)
    assert path.name == "step-00000469"
    checkpoint = store.load("last")
    assert (checkpoint.step, checkpoint.epoch, checkpoint.best_step) == (469, 1, 469)
    assert checkpoint.path == path
    assert list(checkpoint.arrays) == list(saved)
    for name, array in saved.items():
        loaded = checkpoint.arrays[name]
        assert (loaded.dtype, loaded.shape) == (array.dtype, array.shape)
        assert loaded.tobytes() == array.tobytes()
    loaded_state = checkpoint.trainer_state
    assert math.isnan(loaded_state.pop("unknown"))
    del state["unknown"]
    assert loaded_state == state | {"scalar": float(np.float32(0.1)), "tuple": [-math.inf]}


def test_the_files_are_plain_safetensors_and_json(store: CheckpointStore) -> None:
    path = save(store, 7)
    loaded = safetensors.numpy.load_file(path / STATE)
    assert loaded["dense/weights"].tolist() == [[7.0] * 3] * 2
    document = json.loads((path / MANIFEST).read_text())
    assert document["arrays"]["dense/weights"] == {"dtype": "float32", "shape": [2, 3]}
    assert (document["step"], document["epoch"], document["trainer"]) == (7, 3, {"patience": 7})


def test_a_checkpoint_without_arrays(store: CheckpointStore) -> None:
    store.save(0, 0, {}, {}, best=False)
    assert store.load("last").arrays == {}


def test_a_dtype_that_dltrain_has_not_is_refused(store: CheckpointStore) -> None:
    with pytest.raises(TypeError, match="'w' is float16"):
        store.save(1, 1, {"w": np.zeros(2, np.float16)}, {}, best=True)
    assert names(store) == []


# --- which are kept ---


def test_the_newest_and_the_best_are_kept(store: CheckpointStore) -> None:
    for step in range(1, 6):
        save(store, step, best=step == 2)
    assert names(store) == ["best", "last", "step-00000002", "step-00000004", "step-00000005"]
    assert store.load("best").step == 2
    assert store.load("last").step == 5
    assert store.load("step-00000004").step == 4
    assert store.load(store.folder / "step-00000004").arrays["step"] == 4


def test_the_best_of_an_older_kept_one_is_kept_too(store: CheckpointStore) -> None:
    """Were step 4 damaged, training would resume from 3, whose best is 1."""
    save(store, 1, best=True)
    save(store, 2)
    save(store, 3)
    save(store, 4, best=True)
    assert names(store) == ["best", "last", "step-00000001", "step-00000003", "step-00000004"]
    flip(store.folder / "step-00000004" / STATE, 500)
    assert store.load_newest(lambda path, error: None).step == 3
    assert store.load("best").step == 1


def test_keep_counts(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    for step in range(1, 6):
        save(store, step)
    assert names(store) == ["last", "step-00000003", "step-00000004", "step-00000005"]
    with pytest.raises(ValueError, match="at least 2"):
        CheckpointStore(tmp_path, keep=1)


def test_the_same_step_can_be_saved_again(store: CheckpointStore) -> None:
    save(store, 3)
    store.save(3, 1, {"w": np.ones(2)}, {}, best=True)
    assert names(store) == ["best", "last", "step-00000003"]
    assert list(store.load("best").arrays) == ["w"]


def test_saving_after_going_back_removes_what_came_later(store: CheckpointStore) -> None:
    """Otherwise a later resume would take the abandoned step 30 for the newest."""
    for step in (10, 20, 30):
        save(store, step)
    save(store, 25)
    assert names(store) == ["last", "step-00000020", "step-00000025"]
    assert store.load_newest(fail).step == 25


# --- damage ---


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


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
    forge(save(store, 4), format=2, keys_to_come={})
    with pytest.raises(NewerFormatError, match="its format is 2, this version reads up to 1"):
        store.load("last")
    with pytest.raises(NewerFormatError):
        store.load_newest(fail)


# --- a save that fails, or is killed ---

CALLS = ["open", "write", "fsync", "mkdir", "rename", "replace", "unlink", "rmdir"]


class Killed(BaseException):
    """Stands for the end of the process: from here on no call of the system does anything."""


@contextmanager
def failing(patch: pytest.MonkeyPatch, at: int, error: Callable[[], BaseException], calls: list[str]) -> Any:
    """Makes call number `at` of these, and all later ones if `error` is Killed, raise instead."""
    count = 0

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal count
            if original is os_open and not arguments[1] & os.O_CREAT:
                return original(*arguments, **keywords)
            count += 1
            if count == at or (count > at and error is Killed):
                raise error()
            return original(*arguments, **keywords)

        return call

    os_open = os.open
    with patch.context() as context:
        for name in calls:
            context.setattr(os, name, wrapped(getattr(os, name)))
        yield lambda: count


def prepared(folder: Path) -> CheckpointStore:
    """A store with steps 1 (best), 2 and 3, in which a save has something to replace and to remove."""
    folder.mkdir()
    store = CheckpointStore(folder)
    save(store, 1, best=True)
    save(store, 2)
    save(store, 3)
    return store


@pytest.mark.parametrize("step", [3, 4])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
def test_each_failing_call_of_a_save_is_an_error_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, code: int
) -> None:
    calls = [name for name in CALLS if name not in ("unlink", "rmdir")]
    for at in range(1, 100):
        store = prepared(tmp_path / f"{at}")
        with failing(monkeypatch, at, lambda: OSError(code, os.strerror(code)), calls) as count:
            error = None
            try:
                store.save(step, 2, {"w": np.ones(3)}, {}, best=True)
            except StorageError as caught:
                error = str(caught)
        if count() < at:
            assert error is None
            break
        assert error is not None, "a call failed and the save did not say so"
        assert str(store.folder) in error
        assert os.strerror(code) in error
        assert not [name for name in names(store) if name.endswith(".tmp")]
        assert store.load("step-00000002").arrays.keys() == arrays(2).keys()
        assert store.load("last").step >= 3
        assert store.load("best").step in (1, step)
        assert store.load_newest(fail).step in (3, step)
    assert at > 12


@pytest.mark.parametrize("step", [3, 4])
def test_a_kill_before_any_call_of_a_save_leaves_a_run_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    def finish(store: CheckpointStore) -> list[str]:
        for later in range(step, 7):
            save(store, later, best=later == step)
        return [*names(store), store.load("best").path.name, store.load("last").path.name]

    expected = finish(prepared(tmp_path / "uninterrupted"))
    seen = set()
    for at in range(1, 100):
        store = prepared(tmp_path / f"{at}")
        with failing(monkeypatch, at, Killed, CALLS) as count:
            try:
                save(store, step, best=True)
            except Killed:
                pass
            else:
                assert count() < at
                break
        checkpoint = store.load_newest(fail)
        assert checkpoint.arrays["step"] == checkpoint.step
        assert not [name for name in names(store) if name.startswith(".")]
        for name in names(store):
            store.load(name)  # what has a checkpoint's name is whole
        assert store.load("best").step == checkpoint.best_step
        assert store.load("last").step == checkpoint.step
        seen.add((checkpoint.step, checkpoint.best_step))
        assert finish(store) == expected
    assert at > 20
    assert seen == {(3, 1), (step, step)}


def test_everything_is_on_disk_before_the_next_step_relies_on_it(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may undo whatever was not flushed, in any order, so only the order of calls shows this."""
    for step in (1, 2):
        save(store, step)
    calls: list[str] = []
    opened: dict[int, str] = {}

    def part(path: object) -> str:
        name = Path(str(path)).name
        return "temporary" if name.endswith(".tmp") else "folder" if name == store.folder.name else name

    def wrap(name: str, note: Callable[..., str]) -> None:
        original = getattr(os, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            result = original(*arguments, **keywords)
            if name == "open":
                opened[result] = part(arguments[0])
            elif text := note(*arguments):
                calls.append(text)
            return result

        monkeypatch.setattr(os, name, call)

    wrap("open", lambda *_: "")
    wrap("fsync", lambda file: f"flush {opened[file]}")
    wrap("rename", lambda old, new: f"rename {part(old)} to {part(new)}")
    wrap("replace", lambda old, new: f"rename {part(old)} to {part(new)}")
    save(store, 3)
    assert calls == [
        "flush state.safetensors",
        "flush checkpoint.json",
        "flush temporary",
        "rename temporary to step-00000003",
        "flush folder",
        "flush temporary",
        "rename temporary to last",
        "flush folder",
        "rename step-00000001 to temporary",
    ]


def test_a_state_that_reads_back_differently_is_not_a_checkpoint(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store, 1)
    original = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: original(file, bytes(len(data))))
        with pytest.raises(StorageError, match="does not match its SHA-256"):
            save(store, 2)
    assert names(store) == ["last", "step-00000001"]
    assert store.load("last").step == 1


def test_a_removed_folder_is_a_storage_error(store: CheckpointStore) -> None:
    save(store, 1)
    shutil.rmtree(store.folder)
    with pytest.raises(StorageError, match="No such file or directory"):
        save(store, 2)
    assert not store.folder.exists()
