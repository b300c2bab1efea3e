"""The files of a run, as `eval` and `--resume` read them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from reliability.fuzz import repair
from run_helpers import busy_config, parsed, write_data

from dltrain.errors import DivergedError, DltrainError
from dltrain.inspection.verification import Verification
from dltrain.runs.directory import RunDirectory
from dltrain.runs.run import Run
from dltrain.training.run_config import RunConfig

STEP = 10  # of 15, where the newest checkpoint is: an epoch's last, before its evaluation
CHECKPOINT = f"checkpoints/step-{STEP:08d}"


class Example(NamedTuple):
    """A run that was stopped, and the content of its files by name."""

    folder: Path
    config: RunConfig
    files: dict[str, bytes]


@cache
def example(folder: Path) -> Example:
    """Stopped after `STEP`."""
    return trained(folder / "run", busy_config(write_data(folder), epochs=3))


@cache
def failed(folder: Path) -> Example:
    """Its second step failed, and is kept in `failure/`."""
    text = busy_config(write_data(folder)).replace("learning_rate: 0.01", "learning_rate: 1.0e+30")
    return trained(folder / "failed", text)


def trained(path: Path, text: str) -> Example:
    run = Run(parsed(text), kernels="numpy")
    with (
        suppress(DivergedError),
        RunDirectory.create(path) as directory,
        run.start(directory, source=text),
    ):
        list(run.records(should_stop=lambda: run.state.step == STEP))
    files = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    return Example(path, run.config, files)


def seeds_of(name: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: [example(folder).files[name]]


def manifest_seeds(folder: Path) -> list[bytes]:
    return [repair.unsealed(example(folder).files[f"{CHECKPOINT}/checkpoint.json"])]


def state_seeds(folder: Path) -> list[bytes]:
    return [example(folder).files[f"{CHECKPOINT}/state.safetensors"]]


def failure_manifest_seeds(folder: Path) -> list[bytes]:
    return [repair.unsealed(failed(folder).files["failure/checkpoint.json"])]


def failure_state_seeds(folder: Path) -> list[bytes]:
    return [failed(folder).files["failure/state.safetensors"]]


def read_manifest(folder: Path, content: bytes) -> None:
    use(changed(example(folder), {f"{CHECKPOINT}/checkpoint.json": repair.sealed(content)}), folder)


def read_state(folder: Path, content: bytes) -> None:
    use(changed(example(folder), with_state(example(folder), CHECKPOINT, content)), folder)


def read_failure_manifest(folder: Path, content: bytes) -> None:
    replay(changed(failed(folder), {"failure/checkpoint.json": repair.sealed(content)}), folder)


def read_failure_state(folder: Path, content: bytes) -> None:
    replay(changed(failed(folder), with_state(failed(folder), "failure", content)), folder)


def with_state(run: Example, checkpoint: str, content: bytes) -> dict[str, bytes]:
    """The files of a checkpoint with this state, and a manifest that vouches for it."""
    manifest = repair.sealed_for(content, run.files[f"{checkpoint}/checkpoint.json"])
    return {f"{checkpoint}/state.safetensors": content, f"{checkpoint}/checkpoint.json": manifest}


def read_pointer(folder: Path, content: bytes) -> None:
    Run.open(changed(example(folder), {"checkpoints/best": content}), "best", "numpy")


def read_run_config(folder: Path, content: bytes) -> None:
    Run.open(changed(example(folder), {"config.yaml": content}), "last", "numpy")


def read_record(folder: Path, content: bytes) -> None:
    use(changed(example(folder), {"run.json": content}), folder)


def read_metrics_lines(folder: Path, content: bytes) -> None:
    use(changed(example(folder), {"metrics.jsonl": content}), folder)


def line_seeds(folder: Path) -> list[bytes]:
    return example(folder).files["metrics.jsonl"].splitlines()


def read_metrics_line(folder: Path, content: bytes) -> None:
    verify(changed(example(folder), {"metrics.jsonl": content + b"\n"}), folder)


def read_metrics_table(folder: Path, content: bytes) -> None:
    resume(changed(example(folder), {"metrics.csv": content}), folder)


def changed(run: Example, files: dict[str, bytes]) -> RunDirectory:
    """The run, with these files in place of its own."""
    path, _, own = run
    for file in path.rglob("*"):
        if file.is_file():
            file.unlink()
    for name, content in (own | files).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return RunDirectory(path)


def use(directory: RunDirectory, folder: Path) -> None:
    """As `eval`, `verify` and `fit --resume` do."""
    with suppress(DltrainError):
        Run.open(directory, "last", "numpy")
    with suppress(DltrainError):
        verify(directory, folder)
    resume(directory, folder)


def verify(directory: RunDirectory, folder: Path) -> None:
    """Trains the first step again."""
    next(Verification(directory, "numpy").records())


def resume(directory: RunDirectory, folder: Path) -> None:
    """Evaluates the epoch that is done, and goes on for one step."""
    directory.lock()
    run = Run(example(folder).config, kernels="numpy")
    with directory, run.resume(directory):
        list(run.records(should_stop=lambda: True))


def replay(directory: RunDirectory, folder: Path) -> None:
    failure = Run.failure(directory, "numpy")
    failure.trace()
    failure.again()
