"""The settings of the compiler under which the suite runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from dltrain.autodiff.graph import Graph
from dltrain.compiler.planning import PASSES
from dltrain.execution.session import Session

SAME_BITS = PASSES - {"reassociate", "fuse_reductions"}
SETTINGS = {
    "all_passes": SAME_BITS,
    "no_passes": frozenset[str](),
    **{f"without_{name}": SAME_BITS - {name} for name in sorted(SAME_BITS)},
}


@pytest.fixture(params=SETTINGS.values(), ids=list(SETTINGS))
def session_factory(request: pytest.FixtureRequest) -> Callable[[Graph], Session]:
    """Makes sessions; one for each setting."""
    return partial(Session, passes=request.param)
