"""Which ops are computed by C: all but those that are named here, with the reason."""

from __future__ import annotations

import pytest

from dltrain.autodiff.op import Op
from dltrain.backends.c import C

VIEW = "costs nothing; where its numbers must lie elsewhere it is a copy"
LEAF = "is there before anything is computed"
LAPACK = "LAPACK computes it"
ZIGGURAT = "the draws, and their tables, are NumPy's own: https://doi.org/10.18637/jss.v005.i08"

BY_NUMPY = {
    "BroadcastTo": VIEW,
    "Captured": LEAF,
    "Carried": LEAF,
    "Cholesky": LAPACK,
    "Concat": "its inputs are computed in their places, or copied there",
    "Constant": LEAF,
    "Pack": "its inputs are computed in their places, or copied there",
    "Placeholder": LEAF,
    "RandomNormal": ZIGGURAT,
    "Reshape": VIEW,
    "Size": "is computed while the plan is compiled",
    "Slice": VIEW,
    "Solve": LAPACK,
    "SolveTriangular": LAPACK,
    "StopGradient": VIEW,
    "Transpose": VIEW,
    "TruncatedNormal": ZIGGURAT,
}


def without_c() -> set[str]:
    """The names of the package's ops that C's table has nothing for."""
    ops = (op for name, op in Op.registry.items() if name.startswith("dltrain."))
    return {op.__name__ for op in ops if C.lowering.find(op) is None}


def test_every_op_has_c_or_a_reason_and_never_both() -> None:
    assert without_c() == BY_NUMPY.keys()


def test_an_op_without_c_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dummy(Op):
        pass

    monkeypatch.setitem(Op.registry, "dltrain.autodiff.ops.dummy.Dummy", Dummy)
    assert "Dummy" in without_c()
