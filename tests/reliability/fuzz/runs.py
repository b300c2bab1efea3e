"""The files of a run, as `eval` and `--resume` read them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from reliability.fuzz import repair
from run_helpers import busy_config, parsed, write_data

from dltrain.config import parse_document
from dltrain.errors import DltrainError
from dltrain.training.run_directory import RunDirectory
from dltrain.training.trained_run import load_trained
from dltrain.training.training_run import Prepared, TrainingRun, prepare

STEP = 10  # of 15, where the newest checkpoint is: an epoch's last, before its evaluation
CHECKPOINT = f"checkpoints/step-{STEP:08d}"


class Example(NamedTuple):
    """A run that was stopped, and the content of its files by name."""

    folder: Path
    prepared: Prepared
    files: dict[str, bytes]


@cache
def example(folder: Path) -> Example:
    text = busy_config(write_data(folder), epochs=3)
    prepared = prepare(parsed(text))
    path = folder / "run"
    document = parse_document(text, "c.yaml")
    with (
        RunDirectory.create(path) as directory,
        TrainingRun.start(prepared, directory, kernels="numpy", document=document) as run,
    ):
        list(run.records(should_stop=lambda: run.state.step == STEP))
    files = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    return Example(path, prepared, files)


def seeds_of(name: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: [example(folder).files[name]]


def manifest_seeds(folder: Path) -> list[bytes]:
    return [repair.unsealed(example(folder).files[f"{CHECKPOINT}/checkpoint.json"])]


def state_seeds(folder: Path) -> list[bytes]:
    return [example(folder).files[f"{CHECKPOINT}/state.safetensors"]]


def read_manifest(folder: Path, content: bytes) -> None:
    run = changed(folder, {f"{CHECKPOINT}/checkpoint.json": repair.sealed(content)})
    use(run, folder)


def read_state(folder: Path, content: bytes) -> None:
    manifest = example(folder).files[f"{CHECKPOINT}/checkpoint.json"]
    files = {"state.safetensors": content, "checkpoint.json": repair.sealed_for(content, manifest)}
    use(changed(folder, {f"{CHECKPOINT}/{name}": data for name, data in files.items()}), folder)


def read_pointer(folder: Path, content: bytes) -> None:
    load_trained(changed(folder, {"checkpoints/best": content}), "best", "numpy")


def read_run_config(folder: Path, content: bytes) -> None:
    load_trained(changed(folder, {"config.yaml": content}), "last", "numpy")


def read_record(folder: Path, content: bytes) -> None:
    resume(changed(folder, {"run.json": content}), folder)


def read_metrics_lines(folder: Path, content: bytes) -> None:
    resume(changed(folder, {"metrics.jsonl": content}), folder)


def read_metrics_table(folder: Path, content: bytes) -> None:
    resume(changed(folder, {"metrics.csv": content}), folder)


def changed(folder: Path, files: dict[str, bytes]) -> RunDirectory:
    """The example's run, with these files in place of its own."""
    path, _, own = example(folder)
    for file in path.rglob("*"):
        if file.is_file():
            file.unlink()
    for name, content in (own | files).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return RunDirectory(path)


def use(directory: RunDirectory, folder: Path) -> None:
    """As `eval` does, and as `fit --resume` does."""
    with suppress(DltrainError):
        load_trained(directory, "last", "numpy")
    resume(directory, folder)


def resume(directory: RunDirectory, folder: Path) -> None:
    """Evaluates the epoch that is done, and goes on for one step."""
    directory.lock()
    with (
        directory,
        TrainingRun.resume(
            example(folder).prepared, directory, kernels="numpy", warn=lambda line: None
        ) as run,
    ):
        list(run.records(should_stop=lambda: True))
