"""Errors: the line that is printed, also after somebody has added to it."""

import copy
import pickle

import pytest

from dltrain.errors import ConfigError, DataError, DivergedError, StoppedError


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
