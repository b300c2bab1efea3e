"""Requirements such as `test_accuracy>=0.98`: what a run must reach, for CI."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from dltrain.config.text import did_you_mean, quoted
from dltrain.errors import RequirementError, UsageError

_COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_GRAMMAR = re.compile(r"\s*(train|validation|test)_([a-z0-9_]+)\s*(>=|<=|>|<)\s*(\S+)\s*")
_EXAMPLE = "write SPLIT_METRIC>=NUMBER, such as 'test_accuracy>=0.98'"


@dataclass(frozen=True)
class Requirement:
    """A limit of one figure: `split`_`metric` `comparison` `number`, such as test_accuracy >= 0.98."""

    split: str
    metric: str
    comparison: str
    number: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises UsageError when the text is no requirement."""
        match = _GRAMMAR.fullmatch(text)
        if match is None:
            raise UsageError("not a requirement", where=f"--require {quoted(text)}", fix=_EXAMPLE)
        split, metric, comparison, written = match.groups()
        try:
            number = float(written)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            what = f"{quoted(written)} is not a number"
            raise UsageError(what, where=f"--require {quoted(text)}", fix=_EXAMPLE)
        return cls(split, metric, comparison, number)

    def __str__(self) -> str:
        return f"{self.split}_{self.metric}{self.comparison}{self.number:g}"

    def check_known(self, splits: Collection[str], metrics: Collection[str]) -> None:
        """Raises UsageError unless the run has such a split, and computes such a metric."""
        for kind, word, known in (("split", self.split, splits), ("metric", self.metric, metrics)):
            if word not in known:
                fix = did_you_mean(word, known, f"known: {', '.join(known)}")
                raise UsageError(f"the run has no {kind} {word!r}", where=f"--require '{self}'", fix=fix)

    def check_met(self, value: float) -> None:
        """Raises RequirementError, with the figure, when `value` does not meet the requirement."""
        if not _COMPARISONS[self.comparison](value, self.number):
            why = f"{self.split} {self.metric} of the best checkpoint is {value:.6g}"
            raise RequirementError("requirement not met", where=str(self), why=why)
