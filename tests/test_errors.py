"""Errors: the line that is printed, also after somebody has added to it."""

import copy
import pickle
import re
from pathlib import Path

import pytest

from dltrain import errors
from dltrain.errors import (
    ConfigError,
    DataError,
    DivergedError,
    DltrainError,
    GraphError,
    RequirementError,
    RunError,
    StoppedError,
    StorageError,
    Terminated,
    ending,
)


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, "damaged"),
        ({"where": "a.idx"}, "damaged: a.idx"),
        ({"why": "it is empty"}, "damaged: it is empty"),
        ({"fix": "get it again"}, "damaged; get it again"),
        ({"where": "a.idx", "why": "it is empty", "fix": "go"}, "damaged: a.idx: it is empty; go"),
    ],
)
def test_an_error_is_one_line_of_the_parts_that_it_has(parts, line):
    assert str(DataError("damaged", **parts)) == line


def test_what_is_added_to_an_error_on_its_way_is_printed():
    error = DivergedError("the loss is not finite", where="cost", fix="lower the rate")
    error.what = "training diverged at step 3"
    error.fix += "; see replay"
    assert str(error) == "training diverged at step 3: cost; lower the rate; see replay"


def test_problems_together_are_a_line_each_and_one_can_be_added_to():
    first, second, third = (ConfigError(f"{word} is wrong", where=word) for word in ("a", "b", "c"))
    error = ConfigError.together([ConfigError.together([first, second]), third])
    error.problems[1].fix = "correct it"
    assert error.lines == ["a is wrong: a", "b is wrong: b; correct it", "c is wrong: c"]
    assert str(error) == "\n".join(error.lines)
    assert [problem.what for problem in error.problems] == ["a is wrong", "b is wrong", "c is wrong"]


@pytest.mark.parametrize("same", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_says_the_same(same):
    error = ConfigError.together([ConfigError("a", where="b", fix="c"), ConfigError("d")])
    assert same(error).lines == error.lines == ["a: b; c", "d"]
    assert (same(error).exit_code, StoppedError("stopped", signal_number=15).exit_code) == (2, 143)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (ConfigError("c"), 2, "failed"),
        (GraphError("g"), 2, "failed"),
        (DataError("d"), 3, "failed"),
        (DivergedError("d"), 4, "diverged"),
        (RunError("r"), 5, "failed"),
        (RequirementError("r"), 6, "completed"),
        (StorageError("s"), 7, "failed"),
        (StoppedError("s", signal_number=10), 138, "stopped"),
        (Terminated(15), 143, "stopped"),
        (KeyboardInterrupt(), 130, "stopped"),
        (BrokenPipeError(), 141, "stopped"),
        (PermissionError(13, "Permission denied", "/x"), 7, "failed"),
        (MemoryError(), 7, "failed"),
        (ZeroDivisionError(), 1, "failed"),
    ],
)
def test_how_a_command_and_its_run_end(error, code, status):
    ended = ending(error)
    assert (ended.exit_code, ended.status) == (code, status)
    assert (ended is error) == isinstance(error, DltrainError)


def test_the_codes_of_the_guide_are_the_errors_own():
    guide = (Path(__file__).parent.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([0-9, ]+) \| (`.*?`) \|", guide, re.MULTILINE)
    codes = {name: set(codes.split(", ")) for codes, names in rows for name in re.findall(r"`(\w+)`", names)}
    stopped = {str(ending(error).exit_code) for error in (KeyboardInterrupt(), BrokenPipeError())}
    assert codes.pop("StoppedError") == stopped | {"138", "143"}
    assert codes == {
        cls.__name__: {str(cls.exit_code)}
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, DltrainError) and cls.__name__ in codes
    }
    assert len(codes) == 8
