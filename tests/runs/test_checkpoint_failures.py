"""A save that fails or is killed, at any call of the system, loses nothing that was saved before."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_helpers import arrays, fail, names, save

from dltrain.errors import StorageError
from dltrain.runs.checkpoints import CheckpointStore


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path)


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
