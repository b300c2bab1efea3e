"""What a checkpoint holds, and which checkpoints are kept."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from checkpoint_helpers import fail, flip, names, save

from dltrain.runs.checkpoint_format import MANIFEST, STATE
from dltrain.runs.checkpoints import CheckpointStore


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
