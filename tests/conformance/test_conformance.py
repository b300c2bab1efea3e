"""Every op against an independent formula, numerical derivatives, and the manners of kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest
from conformance import array_cases, elementwise_cases, loop_cases, matrix_cases, reduction_cases
from conformance.case import SIZES, Case
from conformance.interpreter import evaluate

from dltrain.autodiff import ops
from dltrain.autodiff.gradients import gradients
from dltrain.autodiff.graph import Graph, Tensor
from dltrain.autodiff.leaves import placeholder
from dltrain.autodiff.op import Op
from dltrain.autodiff.spec import Array
from dltrain.errors import NotDifferentiableError
from dltrain.execution.checking import check_gradients
from dltrain.execution.session import Session

CASES = [
    case
    for cases in (elementwise_cases, reduction_cases, array_cases, matrix_cases, loop_cases)
    for case in cases.CASES
]
WITHOUT_KERNEL = {
    "dltrain.autodiff.leaves.Placeholder",
    "dltrain.autodiff.op.Captured",
    "dltrain.autodiff.loops.body.Carried",
}
TOLERANCE = {"float32": 3e-6, "float64": 1e-13}

Built = tuple[Graph, Tensor, list[Tensor], dict[Tensor, Array]]
all_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
differentiable_cases = pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.differentiable and case.reference is not None],
    ids=lambda case: case.id,
)
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def built(case: Case, dtype: str) -> Iterable[Built]:
    """Graph, output, float inputs and feeds for each alternative of shapes."""
    for shapes in case.shapes:
        with Graph() as graph:
            tensors, arrays = case.inputs(shapes, dtype)
            output = case.build(*tensors)
            if output.spec.is_float:
                assert case.op is None or any(isinstance(node.op, case.op) for node in graph.nodes)
            feeds = dict(zip(tensors, arrays, strict=True))
            feeds[placeholder("float32", ("batch", "width"), "binds_the_names")] = np.zeros(
                list(SIZES.values()), "f"
            )
            yield graph, output, [tensor for tensor in tensors if tensor.spec.is_float], feeds


def uncovered_classes() -> set[str]:
    covered = {f"{case.op.__module__}.{case.op.__qualname__}" for case in CASES if case.op is not None}
    registered = {name for name in Op.registry if name.startswith("dltrain.")}
    return registered - covered - WITHOUT_KERNEL


def test_every_class_has_a_case() -> None:
    assert not uncovered_classes()


def test_every_function_has_a_case() -> None:
    assert not set(ops.__all__) - {case.function for case in CASES}


def test_a_class_without_a_case_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dummy(Op):
        pass

    monkeypatch.setitem(Op.registry, "dltrain.autodiff.ops.dummy.Dummy", Dummy)
    assert uncovered_classes() == {"dltrain.autodiff.ops.dummy.Dummy"}


@all_cases
@both_dtypes
def test_values(case: Case, dtype: str, session_factory: Callable[[Graph], Session]) -> None:
    """What a session computes has the inferred spec, and the reference's value."""
    for graph, output, _, feeds in built(case, dtype):
        value = np.asarray(session_factory(graph).run(output, feeds))
        spec = output.spec.bind(SIZES)
        assert value.shape == spec.shape
        assert not spec.shape or value.dtype == spec.dtype  # one number comes back as Python's
        if case.reference is not None:
            wide = [array.astype("float64") if array.dtype.kind == "f" else array for array in feeds.values()]
            expected = np.asarray(case.reference(*wide[:-1]))
            assert value.shape == expected.shape
            tolerance = TOLERANCE[dtype]
            np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)


def with_gradients(case: Case, output: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    if not (case.differentiable and output.spec.is_float):
        return [output]
    return [output, *(gradient for gradient in gradients(output, inputs) if gradient is not None)]


@all_cases
@both_dtypes
def test_kernels(case: Case, dtype: str) -> None:
    """Kernels, those of the gradient too, leave inputs alone, write all of `out`, and mind no strides."""
    for _, output, inputs, feeds in built(case, dtype):
        evaluate(with_gradients(case, output, inputs), feeds, SIZES)


@all_cases
def test_passes(case: Case, session_factory: Callable[[Graph], Session]) -> None:
    """Whatever the compiler does, the output and its gradients keep their bits."""
    for graph, output, inputs, feeds in built(case, "float32"):
        fetches = with_gradients(case, output, inputs)
        plain = Session(graph, passes=frozenset()).run(fetches, feeds)
        compiled = session_factory(graph).run(fetches, feeds)
        for expected, value in zip(plain, compiled, strict=True):
            np.testing.assert_array_equal(value, expected)


@differentiable_cases
def test_gradients(case: Case) -> None:
    for _, output, inputs, feeds in built(case, "float64"):
        if output.spec.is_float:
            check_gradients(output, inputs, feeds)


@differentiable_cases
def test_second_derivatives(case: Case) -> None:
    """The gradients' own derivatives, also with respect to the cotangents."""
    if not case.smooth:
        return
    for _, output, inputs, feeds in built(case, "float64"):
        if not output.spec.is_float:
            continue
        cotangents = placeholder("float64", output.shape, "cotangents")
        feeds[cotangents] = np.random.default_rng(1).standard_normal(output.spec.bind(SIZES).sizes)
        for gradient in gradients(output, inputs, upstream=cotangents):
            if gradient is not None:
                check_gradients(gradient, [*inputs, cotangents], feeds)


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.differentiable], ids=lambda case: case.id
)
def test_a_missing_derivative_is_named(case: Case) -> None:
    assert case.op is not None
    for _, output, inputs, _ in built(case, "float64"):
        loss = ops.cast(output, "float64")
        with pytest.raises(NotDifferentiableError, match=rf"^{output.op.label} has no derivative"):
            gradients(loss, inputs)
