"""Run directories: their names, how they are found, and what run.json says."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from dltrain.errors import RunError, StorageError, UsageError
from dltrain.runs.directory import RunDirectory

NOW = datetime(2026, 11, 23, 14, 15, 2)
ENVIRONMENT = {"versions": {"python": "3.11.7"}, "threads": 2}


def begun(path: Path) -> RunDirectory:
    run = RunDirectory.create(path)
    run.begin(
        config="seed: 0\n",
        source_config=b"seed: 0 # mine\r\n",
        command=["dltrain", "fit", "mlp.yaml", "seed=0"],
        overrides=["seed=0"],
        seed=0,
        train={"epochs": 3},
        files=[],
        environment=ENVIRONMENT,
    )
    run.close()
    return run


# --- create ---


def test_a_new_name_has_model_time_and_random_letters(tmp_path: Path) -> None:
    with RunDirectory.create(runs=tmp_path / "runs", name="mlp", now=NOW) as run:
        assert re.fullmatch(r"mlp-20261123-141502-[a-z0-9]{4}", run.name)
        assert run.path.parent == tmp_path / "runs"
        with pytest.raises(RunError, match="in use"):
            RunDirectory(run.path).lock()
    RunDirectory(run.path).lock()


def test_names_made_at_the_same_second_do_not_collide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One letter of two instead of four of 36, so that they do collide unless each is tried for.
    letters = iter("aaaa" * 40 + "bbbb" + "aaaa" * 40 + "bbbb" + "cccc")
    with monkeypatch.context() as patch:
        patch.setattr("secrets.choice", lambda _: next(letters))
        three = [RunDirectory.create(runs=tmp_path, now=NOW).name[-4:] for _ in range(3)]
    assert three == ["aaaa", "bbbb", "cccc"]
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: RunDirectory.create(runs=tmp_path, now=NOW), range(50)))
    assert len({run.path for run in runs}) == 50


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", ".x", "a b", "a\n", "x" * 101])
def test_bad_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="bad name for a run"):
        RunDirectory.create(runs=tmp_path, name=name)
    assert os.listdir(tmp_path) == []


def test_a_given_path_is_used_exactly(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    RunDirectory.create(path).close()
    RunDirectory.create(path).close()  # only the lock is in it: nothing began
    begun(path)
    with pytest.raises(RunError, match=r"run directory is not empty: .*b; .*--resume"):
        RunDirectory.create(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="not a directory"):
        RunDirectory.create(tmp_path / "file")


def test_a_foreign_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("")
    with pytest.raises(RunError, match="not empty"):
        RunDirectory.create(tmp_path)
    assert os.listdir(tmp_path) == ["letter.txt"]


def test_only_one_of_two_gets_the_same_path(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run"), pytest.raises(RunError, match="locked by process"):
        RunDirectory.create(tmp_path / "run")


def test_no_place_for_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments in ({"path": tmp_path / "file" / "run"}, {"runs": tmp_path / "file"}):
        with pytest.raises(StorageError, match="cannot create run directory"):
            RunDirectory.create(**arguments)


# --- open ---


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    for name in (
        "mlp-20261123-141502-aaaa",
        "softmax-20261123-141502-bbbb",
        "mlp-20261123-141502-cccc",
        "mlp",
    ):
        begun(folder / name)
    (folder / "notes").mkdir()
    (folder / "mlp-unfinished").mkdir()
    return folder


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("softmax", "softmax-20261123-141502-bbbb"),
        ("s", "softmax-20261123-141502-bbbb"),
        ("mlp-20261123-141502-c", "mlp-20261123-141502-cccc"),
        ("mlp", "mlp"),  # a whole name, though others start with it
        ("latest", "mlp"),
    ],
)
def test_runs_are_found(runs: Path, reference: str, name: str) -> None:
    assert RunDirectory.open(reference, runs).path == runs / name


def test_a_path_is_found(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs / "mlp")
    for reference in (str(runs / "mlp"), ".", "../mlp", "../mlp/"):
        assert RunDirectory.open(reference, runs).name == "mlp"


def test_latest_is_the_last_that_began(runs: Path) -> None:
    begun(runs / "a-name-first-in-the-alphabet")
    assert RunDirectory.open("latest", runs).name == "a-name-first-in-the-alphabet"
    (runs / "mlp" / "run.json").write_text("damaged")
    (runs / "zzz").mkdir()
    (runs / "zzz" / "run.json").write_text("{}")
    assert RunDirectory.open("latest", runs).name == "a-name-first-in-the-alphabet"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("mlp-2026", r"more than one run starts with 'mlp-2026': .*aaaa', 'mlp-.*cccc'; type more"),
        ("sotfmax-20261123-141502-bbbb", r"no run named .*did you mean 'softmax-20261123-141502-bbbb'"),
        ("mlp-unf", r"no run named"),
        ("", r"no run named ''"),
        ("nothing\x1b[31m", r"no run named 'nothing\\x1b"),
        ("x" * 5000, "no run named"),
    ],
)
def test_references_that_mean_no_run(runs: Path, reference: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        RunDirectory.open(reference, runs)


def test_a_folder_that_is_no_run(runs: Path) -> None:
    with pytest.raises(RunError, match=r"not a run directory: .*notes: it holds no run\.json"):
        RunDirectory.open(str(runs / "notes"), runs)
    with pytest.raises(RunError, match=r"holds no run\.json"):
        RunDirectory(runs / "notes").record()


def test_before_the_first_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run yet"):
        RunDirectory.open("latest", tmp_path / "runs")
    with pytest.raises(RunError, match="there are no runs"):
        RunDirectory.open("mlp", tmp_path / "runs")


# --- what is in it ---


def test_the_configs_are_kept(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    assert run.config.read_text() == "seed: 0\n"
    assert run.source_config.read_bytes() == b"seed: 0 # mine\r\n"
    assert run.checkpoints.is_dir()
    assert not [name for name in os.listdir(run.path) if name.startswith(".")]


def test_run_json_tells_the_story(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    record = json.loads((run.path / "run.json").read_text())
    assert record == run.record()
    assert record["status"] == "running"
    assert record["command"] == ["dltrain", "fit", "mlp.yaml", "seed=0"]
    assert (record["overrides"], record["seed"], record["threads"]) == (["seed=0"], 0, 2)
    assert (record["ended"], record["exit_code"]) == (None, None)

    run.finish("stopped", 130)
    record = run.record()
    assert (record["status"], record["exit_code"]) == ("stopped", 130)
    assert datetime.fromisoformat(record["started"]) <= datetime.fromisoformat(record["ended"])
    assert record["ended"].endswith("+00:00")

    again = ["dltrain", "fit", "--resume", "run"]
    run.resume(step=12, train={"epochs": 4}, command=again, files=[], environment={"threads": 1})
    run.finish("completed", 0)
    resumed = run.record()
    assert (resumed["status"], resumed["exit_code"], resumed["threads"]) == ("completed", 0, 2)
    assert resumed["started"] == record["started"]
    assert [(again["step"], again["threads"]) for again in resumed["resumed"]] == [(12, 1)]
    assert [each["train"]["epochs"] for each in (resumed, *resumed["resumed"])] == [3, 4]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"resumed": 1}', b"[" * 100_000])
def test_a_damaged_run_json(tmp_path: Path, content: bytes) -> None:
    run = begun(tmp_path / "run")
    run.record_file.write_bytes(content)
    with pytest.raises(RunError, match=r"damaged file: .*run\.json"):
        run.record()
