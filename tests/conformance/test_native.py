"""Native kernels agree with NumPy's to a few units in the last place, op by op."""

from __future__ import annotations

import numpy as np
import pytest
from conformance.case import Case
from conformance.test_conformance import all_cases, both_dtypes, built, with_gradients

from dltrain.backends.c.compiler import find_compiler
from dltrain.execution.session import Session

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")

TOLERANCE = {"float32": 4e-6, "float64": 1e-14}  # of the largest number


@all_cases
@both_dtypes
def test_native_kernels(case: Case, dtype: str) -> None:
    graphs = list(built(case, dtype))
    for graph, output, inputs, feeds in graphs if dtype == "float32" else graphs[:1]:  # a compilation each
        fetches = with_gradients(case, output, inputs)
        plain = Session(graph, kernels="numpy").run(fetches, feeds)
        native = Session(graph, kernels="native").run(fetches, feeds)
        for expected, value in zip(map(np.asarray, plain), map(np.asarray, native), strict=True):
            assert value.dtype == expected.dtype
            if value.dtype.kind != "f":
                np.testing.assert_array_equal(value, expected)
            else:
                finite = np.abs(expected[np.isfinite(expected)])
                largest = max(finite.max(initial=0), 1)
                np.testing.assert_allclose(value, expected, rtol=0, atol=TOLERANCE[dtype] * largest)
