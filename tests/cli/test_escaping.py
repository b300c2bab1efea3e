"""Text from files, names and paths never reaches a terminal raw: escapes there could hide or fake output."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from run_helpers import Dltrain, dltrain_in, softmax_config, write_data

from dltrain.runs.checkpoints import CheckpointStore

EVIL = "\x1b[2K\x1b[31mall\u202eis well\x07"
SHOWN = "x1b[2K\\x1b[31mall\\u202eis well\\x07"


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(softmax_config(write_data(tmp_path)))
    shutil.copy("c.yaml", f"{EVIL}.yaml")
    run = dltrain_in(capsys)
    assert run("fit", "c.yaml", "--run-dir", EVIL, "--quiet").code == 0
    return run


def edit_record(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    record["versions"]["numpy"] = record["threads"] = record["cpu"] = EVIL
    (run / "run.json").write_text(json.dumps(record))


def seal_foreign_checkpoint(run: Path) -> None:
    store = CheckpointStore(run / "checkpoints")
    last = store.load("last")
    store.save(last.step, last.epoch, last.arrays, last.trainer_state | {"run": EVIL}, best=True)


def seal_strange_checkpoint(run: Path) -> None:
    store = CheckpointStore(run / "checkpoints")
    last = store.load("last")
    store.save(last.step, last.epoch, last.arrays, last.trainer_state | {EVIL: 1}, best=True)


def evil_member(_: Path) -> None:
    with zipfile.ZipFile("data.npz", "w") as archive:
        archive.writestr(f"{EVIL}.npy", b"")


def evil_config(run: Path) -> None:
    (run / "config.yaml").write_text(f"{json.dumps(EVIL)}: 1\n")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["fit", f"{EVIL}.yaml", "--run-dir", f"{EVIL}2"], True),
        (["fit", "c.yaml", f"{EVIL}=1"], True),
        (["fit", "c.yaml", f"optimizer.{EVIL}=1"], True),
        (["fit", "c.yaml", f"name={json.dumps(EVIL)}"], True),
        (["fit", "c.yaml", f"dataset.path={json.dumps(EVIL)}"], True),
        (["fit", "c.yaml", "--require", f"{EVIL}>1"], True),
        (["fit", "--resume", EVIL], True),
        (["eval", EVIL], False),
        (["eval", f"{EVIL}3"], True),
        (["eval", EVIL, "--checkpoint", EVIL], True),
        (["predict", EVIL, "--input", f"{EVIL}.npy", "--output", "o.csv"], True),
        (["predict", EVIL, "--input", f"{EVIL}.npy", "--output", f"{EVIL}.txt"], True),
        (["validate", f"{EVIL}.yaml"], False),
        (["validate", f"{EVIL}2.yaml"], True),
        (["verify", EVIL], False),
        (["replay", EVIL], True),
        (["download-mnist", "--from", f"{EVIL}.yaml"], True),
        ([EVIL], True),
        (["fit", f"--{EVIL}"], True),
    ],
)
def test_names_on_the_command_line(dltrain: Dltrain, words: list[str], shown: bool) -> None:
    result = dltrain(*words)
    printed = result.out + result.err
    assert not set("\x1b\x07\u202e") & set(printed)
    assert (SHOWN in printed) is shown


@pytest.mark.parametrize(
    "damage", [edit_record, seal_foreign_checkpoint, seal_strange_checkpoint, evil_member, evil_config]
)
@pytest.mark.parametrize("command", [["fit", "--resume"], ["eval"], ["verify"]])
def test_what_files_hold(dltrain: Dltrain, damage: Callable[[Path], None], command: list[str]) -> None:
    damage(Path(EVIL))
    result = dltrain(*command, EVIL)
    printed = result.out + result.err
    assert not set("\x1b\x07\u202e") & set(printed)
    if (damage, command) != (edit_record, ["eval"]):
        assert SHOWN in printed
