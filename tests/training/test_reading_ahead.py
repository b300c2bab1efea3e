"""Examples that a thread reads while the batch before is computed with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_helpers import parsed, softmax_config, write_data

from dltrain.datasets import Dataset, Examples, Source
from dltrain.datasets.npz import Npz
from dltrain.errors import DataError
from dltrain.runs.directory import RunDirectory
from dltrain.runs.run import Run
from dltrain.training.batches import BatchFunction, batches_of
from dltrain.training.records import Record, StepDone

Array = np.ndarray[Any, Any]


class Files(Source):
    """Examples as if each lay in a file, all but those in `damaged`.

    Attributes:
        calls: the rows of each call of `take`.
    """

    def __init__(self, examples: Array) -> None:
        self._examples = examples
        self.shape, self.dtype = examples.shape[1:], examples.dtype
        self.calls: list[list[int]] = []
        self.damaged: set[int] = set()
        self.threads: set[threading.Thread] = set()

    def __len__(self) -> int:
        return len(self._examples)

    def take(self, rows: Array, out: Array) -> None:
        assert out.shape == (len(rows), *self.shape)
        self.threads.add(threading.current_thread())
        self.calls.append(rows.tolist())
        if broken := self.damaged.intersection(rows.tolist()):
            raise DataError("damaged file", where=f"{min(broken)}.dat", why="it is cut", fix="copy it again")
        out[...] = self._examples[rows]


class InFiles(Dataset, name="in_files"):
    """What an npz file holds, from sources of the test's own."""

    path: Path
    train: Any = None
    test: Any = None

    def read(self) -> tuple[Examples, Examples]:
        parts = Npz(path=self.path, target=self.target).read()
        found = []
        for part, source in zip(parts, (self.train, self.test), strict=True):
            source = source or Files(part.inputs.astype(part.source.dtype))  # type: ignore[union-attr]
            found.append(Examples(source, part.targets, part.inputs_source, part.targets_source))
        return found[0], found[1]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "read ahead"]


def in_files(text: str) -> str:
    return text.replace("name: npz", "name: in_files")


def train(text: str, folder: Path, stop_after: int | None = None) -> list[Record]:
    run = Run(parsed(text))
    with RunDirectory.create(folder) as directory, run.start(directory, source=text):
        return list(run.records(should_stop=lambda: run.state.step == stop_after))


def resume(folder: Path) -> list[Record]:
    with RunDirectory.open(str(folder)) as directory:
        directory.lock()
        run = Run(directory.load_config()[1])
        with run.resume(directory):
            return list(run.records())


def figures(folder: Path) -> str:
    return (folder / "metrics.jsonl").read_text() + (folder / "summary.json").read_text()


@pytest.mark.parametrize("target", ["label", "input"])
@pytest.mark.parametrize("dtype", ["u1", "f4", ">f4", "f8", "f2"])
def test_the_same_bits_as_an_array(tmp_path: Path, data: Path, dtype: str, target: str) -> None:
    with np.load(data) as arrays:
        held = {key: array.astype(dtype) if key[0] == "x" else array for key, array in arrays.items()}
    np.savez(data, **held)
    text = softmax_config(data)
    if target == "input":
        text = text.replace("validation_size", "target: input, validation_size")
        text = text.replace("softmax_regression", "{name: autoencoder, encoder: [3]}")
        text = text.replace("cross_entropy", "mse")
    train(text, tmp_path / "array")
    train(in_files(text), tmp_path / "files")
    assert figures(tmp_path / "array") == figures(tmp_path / "files")


def function_of(run: Run, size: int = 7) -> BatchFunction:
    return BatchFunction(run.session, run.network, run.training, size)


def test_a_batch_is_read_while_the_one_before_is_computed_with(data: Path) -> None:
    run = Run(parsed(in_files(softmax_config(data))))
    split = run.data.splits["train"]
    source = split.source
    assert isinstance(source, Files)
    source.calls.clear()
    source.threads.clear()
    begun, may_end = threading.Event(), threading.Event()
    take = source.take

    def slow(rows: Array, out: Array) -> None:
        if len(source.calls) == 1:  # the second batch
            begun.set()
            assert may_end.wait(60)
        take(rows, out)

    source.take = slow  # type: ignore[method-assign]
    function, order = function_of(run), list(batches_of(np.arange(40), 7))
    expected = [split.rows[part].tolist() for part in order]
    for number, batch in enumerate(function.batches(split, iter(order))):
        if number == 0:
            assert begun.wait(60)  # while nobody has asked for it
            may_end.set()
        assert function(batch)[0] > 0
        assert batch.positions.tolist() == order[number].tolist()
        assert len(source.calls) <= number + 2  # one batch ahead, not more
    assert source.calls == expected
    assert threading.main_thread() not in source.threads


def test_what_is_left_midway_leaves_no_thread(data: Path) -> None:
    run = Run(parsed(in_files(softmax_config(data))))
    split, function = run.data.splits["train"], function_of(run)
    for batch in function.batches(split, batches_of(np.arange(40), 7)):
        function(batch)
        break
    for _ in function.batches(split, ()):
        raise AssertionError
    run.evaluation_batches = 1
    assert run.evaluate("test")["loss"] > 0


ENDING = """
import sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from run_helpers import parsed, softmax_config
import test_reading_ahead as tests

run = tests.Run(parsed(tests.in_files(softmax_config(Path(sys.argv[1])))))
batches = tests.function_of(run).batches(run.data.splits["train"], tests.batches_of(tests.np.arange(40), 7))
print(len(next(batches).places))
"""


def test_a_process_ends_though_an_iteration_still_waits(data: Path) -> None:
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    command = [sys.executable, "-c", ENDING, str(data), *folders]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")


def test_an_interrupt_while_it_waits(data: Path) -> None:
    run = Run(parsed(in_files(softmax_config(data))))
    split, function = run.data.splits["train"], function_of(run)
    source, take = split.source, split.source.take

    def interrupting(rows: Array, out: Array) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        take(rows, out)

    source.take = interrupting  # type: ignore[method-assign]
    batches = function.batches(split, batches_of(np.arange(40), 7))
    with pytest.raises(KeyboardInterrupt):
        list(batches)


def test_a_damaged_example_is_told_at_its_batch_and_nothing_is_lost(tmp_path: Path, data: Path) -> None:
    text = in_files(softmax_config(data, checkpoint_every="100 steps"))
    train(text, tmp_path / "whole")
    run = Run(parsed(text))
    source = run.data.splits["train"].source
    assert isinstance(source, Files)
    source.calls.clear()
    done: list[int] = []

    def until_it_fails() -> None:
        with RunDirectory.create(tmp_path / "run") as directory, run.start(directory, source=text):
            for record in run.records():
                if isinstance(record, StepDone):
                    done.append(record.step)
                    if record.step == 3:  # the next batch may have been read already, not the one after it
                        source.damaged = set(range(50))

    with pytest.raises(DataError, match=r"damaged file: \d+.dat: it is cut; copy it again"):
        until_it_fails()
    assert done in ([1, 2, 3], [1, 2, 3, 4])
    assert (tmp_path / "run" / "checkpoints" / f"step-{done[-1]:08d}").is_dir()
    resume(tmp_path / "run")
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")


@pytest.mark.parametrize("step", [1, 5, 6, 7, 12, 17])
def test_resumed_after_any_step_it_ends_the_same(tmp_path: Path, data: Path, step: int) -> None:
    text = in_files(softmax_config(data))
    train(text, tmp_path / "whole")
    train(text, tmp_path / "run", stop_after=step)
    resume(tmp_path / "run")
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")


def test_checks_go_through_the_source_in_parts(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dltrain.datasets.dataset.BLOCK_VALUES", 64)  # 4 examples
    numbers = np.ones((50, 4, 4))
    numbers[33, 2, 1] = np.inf
    source = Files(numbers)
    test = Files(np.ones((23, 4, 4)))
    with pytest.raises(DataError, match=r"not finite in float32: x_train in .*: in example 33"):
        InFiles(path=data, train=source, test=test).load()
    assert source.calls == [list(range(start, start + 4)) for start in range(0, 36, 4)]
    for shape, dtype, why in (((), "f4", "holds 50 of float32"), ((4, 4), "i8", "they are int64")):
        wrong = Files(np.zeros((50, *shape), dtype))
        with pytest.raises(DataError, match=why):
            InFiles(path=data, train=wrong, test=test).load()
