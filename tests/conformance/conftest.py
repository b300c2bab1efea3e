"""The settings of the compiler under which the suite runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from dltrain.autodiff.graph import Graph
from dltrain.execution.compile import PASSES
from dltrain.execution.session import Session

SETTINGS = {
    "all_passes": PASSES,
    "no_passes": frozenset[str](),
    **{f"without_{name}": PASSES - {name} for name in sorted(PASSES)},
}


@pytest.fixture(params=SETTINGS.values(), ids=list(SETTINGS))
def session_factory(request: pytest.FixtureRequest) -> Callable[[Graph], Session]:
    """Makes sessions; one for each setting."""
    return partial(Session, passes=request.param)
