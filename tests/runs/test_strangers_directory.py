"""Run directories from a stranger, or half made: nothing outside is touched, nobody waits, one line tells."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_helpers import Dltrain, dltrain_in, softmax_config, write_data

from dltrain.datasets import FileDigest
from dltrain.errors import RunError, StorageError
from dltrain.runs import lock as lock_module
from dltrain.runs.lock import RunLock

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def dltrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dltrain:
    """Runs command lines beside a run of 18 steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    Path("c.yaml").write_text(softmax_config(write_data(tmp_path)))
    run = dltrain_in(capsys)
    assert run("fit", "c.yaml", "--run-dir", "run", "--quiet", "--kernels", "numpy").code == 0
    return run


def content(folder: str) -> dict[str, bytes | None]:
    files = sorted(Path(folder).rglob("*"))
    return {str(path): path.read_bytes() if path.is_file() else None for path in files}


def one_line(result: Any, code: int = 5) -> None:
    assert result.code == code, result
    assert result.out == ""
    assert result.err.count("\n") <= 2, result.err


@pytest.mark.parametrize(
    "name",
    [
        "lock",
        "checkpoints",
        "tensorboard",
        "tensorboard/train",
        "tensorboard/validation",
        "failure",
        "metrics.jsonl",
        "metrics.csv",
        "run.json",
        "config.yaml",
        "checkpoints/last",
        "checkpoints/step-00000018",
        "checkpoints/step-00000018/checkpoint.json",
        "checkpoints/step-00000018/state.safetensors",
    ],
)
def test_no_link_leads_outside(dltrain: Dltrain, name: str) -> None:
    """Whatever is done in the run, what the link points to stays as it is."""
    path, outside = Path("run", name), Path("outside")
    if path.exists():
        path.rename(outside)
    else:
        outside.mkdir()
        (outside / "letter").write_text("mine")
    path.symlink_to(outside.absolute())
    before = content(".")
    for words in (["eval", "run", "--checkpoint", "last"], ["verify", "run", "--quiet"], ["replay", "run"]):
        dltrain(*words)
        assert content(".") == before
    result = dltrain("fit", "--resume", "run", "train.epochs=4", "--quiet")
    assert result.code in (0, 5, 7)
    outside_now = content("outside") if outside.is_dir() else outside.read_bytes()
    outside_before = {key: each for key, each in before.items() if key.startswith("outside/")}
    assert outside_now == (outside_before if outside.is_dir() else before["outside"])


@pytest.mark.parametrize("to", ["letter", "nothing"])
def test_a_new_run_follows_no_lock(dltrain: Dltrain, to: str) -> None:
    Path("letter").write_text("mine")
    Path("new").mkdir()
    Path("new/lock").symlink_to(Path(to).absolute())
    result = dltrain("fit", "c.yaml", "--run-dir", "new")
    one_line(result)
    assert "not a plain file: new/lock" in result.err
    assert Path("letter").read_text() == "mine"
    assert not Path("nothing").exists()


@pytest.mark.parametrize(
    "name",
    ["run.json", "config.yaml", "metrics.jsonl", "metrics.csv", "lock", "checkpoints/last"]
    + [f"checkpoints/step-00000018/{name}" for name in ("checkpoint.json", "state.safetensors")],
)
def test_nobody_waits_for_a_pipe(dltrain: Dltrain, name: str) -> None:
    Path("run", name).unlink()
    os.mkfifo(Path("run", name))
    for words in (["eval", "run", "--checkpoint", "last"], ["verify", "run", "--quiet"]):
        assert dltrain(*words).code in (0, 5)
    assert dltrain("fit", "--resume", "run", "train.epochs=4", "--quiet").code in (0, 5, 7)


@pytest.mark.parametrize("kind", ["zeros", "sparse", "one line", "many"])
def test_large_metrics_are_streamed(dltrain: Dltrain, kind: str) -> None:
    path = Path("run/metrics.jsonl")
    if kind == "zeros":
        path.unlink()
        path.symlink_to("/dev/zero")
    elif kind == "sparse":
        os.truncate(path, 2**31)
    elif kind == "one line":
        path.write_text('{"step": ' + "9" * 2**24)
    else:
        with path.open("a") as file:
            file.writelines(
                f'{{"step": {step}, "epoch": 9, "split": "batch", "values": {{"loss": 1.0}}}}\n'
                for step in range(19, 20_000)
            )
    result = dltrain("verify", "run", "--quiet", "--kernels", "numpy")
    one_line(result)
    assert "metrics.jsonl" in result.err or kind == "many"


@pytest.mark.parametrize("name", ["x.replaced", "..replaced", ".step-1.replaced", ".replaced"])
def test_strange_names_among_checkpoints(dltrain: Dltrain, name: str) -> None:
    Path("run/checkpoints", name).mkdir()
    assert dltrain("fit", "--resume", "run", "train.epochs=4", "--quiet").code == 0
    assert Path("run/checkpoints", name).is_dir()


@pytest.mark.parametrize("number", ["0999999999", "9999999999"])
def test_the_last_number_of_an_event_file(dltrain: Dltrain, number: str) -> None:
    Path(f"run/tensorboard/train/events.out.tfevents.{number}").touch()
    for epochs in (4, 5):
        assert dltrain("fit", "--resume", "run", f"train.epochs={epochs}", "--quiet").code == 0


# --- locks that a file system has not ---


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(lock_module, "_try_lock", refuse)
    with pytest.raises(StorageError, match=f"cannot lock run: .*lock: {os.strerror(code)}; train on"):
        RunLock(tmp_path / "lock")
    monkeypatch.undo()
    with pytest.raises(RunError, match="in use"):
        (RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock"))


# --- killed before it began ---


def kill_at(patch: pytest.MonkeyPatch, number: int, kind: type[BaseException]) -> None:
    """The call of that number that makes a name, from the run directory's on, is the last."""
    calls = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += "half" in str(arguments[0])
            if calls >= number:
                raise kind
            return original(*arguments, **keywords)

        return call

    for name in ("mkdir", "replace", "open"):
        patch.setattr(os, name, counted(getattr(os, name)))


@pytest.mark.parametrize("number", range(1, 25))
def test_a_run_that_did_not_begin_is_started_again(
    dltrain: Dltrain, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Or goes on, once its run.json is there."""
    with monkeypatch.context() as patch:
        kill_at(patch, number, KeyboardInterrupt)
        assert dltrain("fit", "c.yaml", "--run-dir", "half", "--kernels", "numpy").code == 130
    if Path("half/run.json").exists():
        words = ["--resume", "half"]
    else:
        words = ["c.yaml", "--run-dir", "half"]
        if Path("half/lock").exists():
            result = dltrain("fit", "--resume", "half")
            one_line(result)
            assert "run has not begun: half: it was stopped before " in result.err
            assert result.err.endswith("dltrain fit CONFIG --run-dir half\n")
    assert dltrain("fit", *words, "--kernels", "numpy", "--quiet").code == 0
    for name in ("metrics.jsonl", "summary.json", "config.yaml", "config.source.yaml"):
        assert Path("half", name).read_bytes() == Path("run", name).read_bytes()
    assert not list(Path("half").rglob(".*"))


@pytest.mark.parametrize("names", [["config.yaml"], ["lock", "letter"], ["lock", "checkpoints/letter"]])
def test_what_others_made_is_not_taken_for_a_run_that_did_not_begin(
    dltrain: Dltrain, names: list[str]
) -> None:
    for name in names:
        Path("mine", name).parent.mkdir(parents=True, exist_ok=True)
        Path("mine", name).write_text("mine")
    result = dltrain("fit", "c.yaml", "--run-dir", "mine")
    one_line(result)
    assert "run directory is not empty" in result.err
    assert all(Path("mine", name).exists() for name in names)


# --- resumed again and again ---


def test_a_history_that_stays_small(dltrain: Dltrain) -> None:
    """Of 3,000 resumes by a supervisor, and 3,000 that each train a step more."""
    from dltrain.runs.directory import RunDirectory
    from dltrain.runs.record import LARGEST_RECORD

    directory = RunDirectory(Path("run"))
    first = directory.record()
    environment = {"threads": 2, "cpu": "x" * 300}
    files = [FileDigest(**file) for file in first["data"]]
    for step in range(3000):
        directory.resume(
            step=step, train=first["train"], command=["fit"], files=files, environment=environment
        )
    (again,) = directory.record()["resumed"]
    assert (again["step"], again["times"], again["last_step"]) == (0, 3000, 2999)
    for step in range(3000, 3300):
        train = first["train"] | {"epochs": step}
        words = ["x" * 10_000] * 1000
        directory.resume(step=step, train=train, command=words, files=files, environment=environment)
        assert Path("run/run.json").stat().st_size <= LARGEST_RECORD
    assert directory.record()["resumed"][-1]["train"]["epochs"] == 3299
    assert dltrain("eval", "run").code == 0
    result = dltrain("verify", "run", "--quiet")
    one_line(result)
    assert "it does not tell how the run was trained" in result.err
    assert dltrain("fit", "--resume", "run", "train.epochs=4", "--quiet").code == 0


def test_an_old_long_history_is_verified_fast(dltrain: Dltrain) -> None:
    """As 012d64b wrote it: an entry a resume, all of them alike."""
    import time

    record = json.loads(Path("run/run.json").read_text())
    again = {
        key: record[key] for key in ("command", "train", "versions", "blas", "cpu", "threads", "kernels")
    }
    record["resumed"] = [again | {"at": "2026", "step": 6} for _ in range(2000)]
    Path("run/run.json").write_text(json.dumps(record, indent=1))
    begun = time.process_time()
    result = dltrain("verify", "run", "--quiet", "--kernels", "numpy")
    assert (result.code, result.err) == (0, "")
    assert time.process_time() - begun < 3
    assert dltrain("fit", "--resume", "run", "--quiet", "--kernels", "numpy").code == 0
    assert len(json.loads(Path("run/run.json").read_text())["resumed"]) <= 2


@pytest.mark.parametrize("threads", [10**39, -1, 1e39, "many", None])
def test_threads_that_cannot_be(dltrain: Dltrain, threads: object) -> None:
    record = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps(record | {"threads": threads}))
    result = dltrain("verify", "run", "--progress", "none", "--kernels", "numpy")
    assert result.code == 0, result.err


def test_the_metrics_as_arrays(dltrain: Dltrain) -> None:
    from dltrain.runs.directory import RunDirectory
    from dltrain.runs.run import Run

    run = Run.open(RunDirectory.open("run"))
    assert run.metrics["train"]["step"].tolist() == [6, 12, 18]
    assert set(run.metrics["validation"]) == {"step", "epoch", "loss", "accuracy"}
    assert run.metrics["validation"]["loss"].dtype == "float64"
    assert repr(run) == "Run('run', softmax_regression, step 18)"
    shutil.rmtree("run/checkpoints")
    assert run.metrics["train"]["epoch"].tolist() == [1, 2, 3]
