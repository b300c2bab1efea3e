"""Which ops are computed by C: all but those that are named here, with the reason."""

from __future__ import annotations

import pytest

from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.bases import Elementwise
from dltrain.autodiff.ops.exponential import Exp
from dltrain.autodiff.ops.reduce import Reduction, Sum
from dltrain.autodiff.properties import Properties
from dltrain.autodiff.spec import Array
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


def own_ops() -> list[type[Op]]:
    """Those of the package."""
    return [op for name, op in Op.registry.items() if name.startswith("dltrain.")]


def without_c() -> set[str]:
    """The names of the package's ops that C computes nothing of."""
    return {op.__name__ for op in own_ops() if not has_c(op)}


def has_c(op: type[Op]) -> bool:
    """Whether C's table has something for it, and it the C that this asks for."""
    lowering = C.lowering.find(op)
    if lowering is C.lowering.find(Elementwise):
        return op.formula is not None or op.expression is not Properties.expression
    if lowering is C.lowering.find(Reduction):
        return op.combine is not None
    return lowering is not None


def test_every_op_has_c_or_a_reason_and_never_both() -> None:
    assert without_c() == BY_NUMPY.keys()
    assert {op.__name__ for op in own_ops() if op.is_view} == {
        name for name, reason in BY_NUMPY.items() if reason is VIEW
    }


@pytest.mark.parametrize("base", [Op, Elementwise, Reduction, Exp, Sum])
def test_an_op_without_c_is_noticed(base: type[Op], monkeypatch: pytest.MonkeyPatch) -> None:
    class Dummy(base, abstract=True):  # type: ignore[misc,valid-type]
        def compute(self, *inputs: Array, out: Array) -> None: ...

    monkeypatch.setitem(Op.registry, "dltrain.autodiff.ops.dummy.Dummy", Dummy)
    assert "Dummy" in without_c()
