"""What all optimizers share: gradients, clipping, packing, slots, the step, errors."""

from __future__ import annotations

import numpy as np
import pytest

from dltrain.autodiff import Graph, Tensor, Variable, constant, ops
from dltrain.autodiff.spec import Array
from dltrain.errors import ConfigError, DivergedError, GraphError
from dltrain.execution import Session
from dltrain.optimizers import Adam, AdamW, Optimizer, Sgd


def three_variables() -> tuple[list[Variable], list[Array], Tensor]:
    """Variables, the gradients (fixed numbers), and the loss that has them."""
    rng = np.random.default_rng(1)
    gradients = [rng.normal(0, 3, shape) for shape in ((3, 2), (5,), ())]
    variables = [Variable(np.zeros(np.shape(g)), dtype="float64", name="w") for g in gradients]
    loss = ops.sum(variables[0] * gradients[0]) + ops.sum(variables[1] * gradients[1])
    return variables, gradients, loss + variables[2] * float(gradients[2])


def moved_by(optimizer: Optimizer) -> tuple[list[Array], list[Array]]:
    """Minus the changes of one step at rate 1, and the gradients."""
    with Graph() as graph:
        variables, gradients, loss = three_variables()
        updates = optimizer.minimize(loss)
    session = Session(graph)
    session.run(updates)
    return [-session.value(variable) for variable in variables], gradients


def test_clip_value_limits_each_number() -> None:
    moved, gradients = moved_by(Sgd(learning_rate=1, clip_value=0.5))
    for found, gradient in zip(moved, gradients, strict=True):
        np.testing.assert_allclose(found, np.clip(gradient, -0.5, 0.5), rtol=1e-12)


def test_clip_norm_limits_the_norm_of_all_gradients_together() -> None:
    moved, gradients = moved_by(Sgd(learning_rate=1, clip_norm=0.5))
    norm = np.sqrt(sum(np.sum(gradient**2) for gradient in gradients))
    assert norm > 0.5
    for found, gradient in zip(moved, gradients, strict=True):
        np.testing.assert_allclose(found, gradient * 0.5 / norm, rtol=1e-12)


def test_clip_norm_leaves_smaller_gradients_as_they_are() -> None:
    moved, gradients = moved_by(Sgd(learning_rate=1, clip_norm=1e6))
    for found, gradient in zip(moved, gradients, strict=True):
        np.testing.assert_array_equal(found, gradient)


def test_values_are_clipped_before_the_norm() -> None:
    moved, gradients = moved_by(Sgd(learning_rate=1, clip_value=0.5, clip_norm=0.7))
    clipped = [np.clip(gradient, -0.5, 0.5) for gradient in gradients]
    norm = np.sqrt(sum(np.sum(gradient**2) for gradient in clipped))
    assert norm > 0.7
    for found, gradient in zip(moved, clipped, strict=True):
        np.testing.assert_allclose(found, gradient * 0.7 / norm, rtol=1e-12)


def test_a_norm_that_overflows_changes_nothing() -> None:
    """The sum of finite squares is infinite in float32: clipped by it, every gradient would be 0."""
    with Graph() as graph:
        w, bias = Variable(np.ones(3, "float32"), name="w"), Variable(np.ones(2), name="bias")
        loss = ops.sum(ops.cast(w, "float64") * 1e20) + ops.sum(bias)
        updates = Sgd(learning_rate=1, clip_norm=1).minimize(loss)
    session = Session(graph)
    with pytest.raises(DivergedError, match="norm is not finite"):
        session.run(updates)
    assert session.value(w).tolist() == [1, 1, 1]
    assert session.value(bias).tolist() == [1, 1]


def test_clipping_zero_gradients_gives_zeros() -> None:
    with Graph() as graph:
        variable = Variable(np.ones(3), name="w")
        updates = Sgd(learning_rate=1, clip_norm=1).minimize(ops.sum(variable * 0.0))
    session = Session(graph)
    session.run(updates)
    np.testing.assert_array_equal(session.value(variable), np.ones(3))


def test_compute_gradients_and_apply_gradients_are_minimize() -> None:
    with Graph() as graph:
        variables, gradients, loss = three_variables()
        optimizer = Sgd(learning_rate=0.1)
        pairs = optimizer.compute_gradients(loss)
        doubled = optimizer.apply_gradients([(gradient * 2.0, variable) for gradient, variable in pairs])
    assert [variable for _, variable in pairs] == variables
    session = Session(graph)
    session.run(doubled)
    for variable, gradient in zip(variables, gradients, strict=True):
        np.testing.assert_allclose(session.value(variable), -0.2 * gradient, rtol=1e-12)


def test_slots_are_vectors_named_after_the_optimizer_and_not_trainable() -> None:
    with Graph() as graph:
        _, _, loss = three_variables()
        Adam().minimize(loss)
    slots = [variable for variable in graph.variables if variable.name.startswith("adam/")]
    assert [(slot.name, slot.shape, slot.trainable) for slot in slots] == [
        ("adam/m", (12,), False),
        ("adam/v", (12,), False),
    ]


def test_only_given_variables_move_and_the_step_advances() -> None:
    with Graph() as graph:
        variables, _, loss = three_variables()
        updates = Sgd(learning_rate=0.1).minimize(loss, [variables[1]])
    session = Session(graph)
    session.run(updates)
    session.run(updates)
    assert [bool(np.any(session.value(variable))) for variable in variables] == [False, True, False]
    assert session.value(graph.step) == 2


def test_variables_that_are_not_trainable_stay() -> None:
    with Graph() as graph:
        moves = Variable(np.ones(2), name="moves")
        stays = Variable(np.ones(2), name="stays", trainable=False)
        updates = Sgd(learning_rate=0.1).minimize(ops.sum(moves * stays))
    assert [variable for variable, _ in updates.pairs] == [graph.step, moves]


def test_trainable_variables_that_the_loss_does_not_use_are_left_out() -> None:
    with Graph():
        used, other = Variable(np.ones(2), name="used"), Variable(np.ones(2), name="other")
        pairs = Sgd(learning_rate=0.1).compute_gradients(ops.sum(used))
    assert [variable for _, variable in pairs] == [used]
    assert other.trainable


def test_without_weight_decay_adamw_is_adam_bit_for_bit() -> None:
    adam, _ = moved_by(Adam(learning_rate=0.1))
    adamw, _ = moved_by(AdamW(learning_rate=0.1, weight_decay=0.0))
    for one, other in zip(adam, adamw, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_loss_without_variables_is_refused() -> None:
    with Graph():
        Variable(np.ones(2), name="w")
        with pytest.raises(GraphError, match="does not depend on 'w'"):
            Sgd().minimize(constant(1.0))
    with Graph(), pytest.raises(GraphError, match="does not depend on any trainable variable"):
        Sgd().minimize(constant(1.0))


def test_a_given_variable_that_the_loss_does_not_use_is_refused_by_name() -> None:
    with Graph():
        used, other = Variable(np.ones(2), name="used"), Variable(np.ones(2), name="other")
        with pytest.raises(GraphError, match="does not depend on 'other'"):
            Sgd().minimize(ops.sum(used), [used, other])


def test_a_loss_that_is_no_scalar_is_refused() -> None:
    with Graph():
        variable = Variable(np.ones(2), name="w")
        with pytest.raises(GraphError, match="a loss is a scalar"):
            Sgd().minimize(variable * 2.0)


def test_gradients_of_another_shape_and_none_at_all_are_refused() -> None:
    with Graph():
        variable = Variable(np.ones(2), name="w")
        with pytest.raises(GraphError, match="'w' is float64\\[2\\] but its gradient float64\\[3\\]"):
            Sgd().apply_gradients([(constant(np.ones(3)), variable)])
        with pytest.raises(GraphError, match="no gradients"):
            Sgd().apply_gradients([])


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf"), True, "0.1"])
def test_learning_rates_that_are_none_are_refused(rate: object) -> None:
    with pytest.raises(ConfigError, match="learning_rate must be"):
        Sgd(learning_rate=rate)


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ConfigError, match="nesterov needs momentum"):
        Sgd(nesterov=True)


@pytest.mark.parametrize(
    ("key", "right"), [("lr", "learning_rate"), ("eps", "epsilon"), ("betas", "beta1 and beta2")]
)
def test_foreign_keys_are_told_the_right_one(key: str, right: str) -> None:
    with pytest.raises(ConfigError, match=f"write {right} instead"):
        Adam(**{key: 0.1})


@pytest.mark.parametrize("clip_value", [None, 3.0])
def test_a_gradient_that_is_not_finite_changes_nothing(clip_value: float | None) -> None:
    """The derivative of a square root at 0 is infinite; what clip_value makes of it is not."""
    with Graph() as graph:
        w, bias = Variable([0.0, 1.0], name="w"), Variable([1.0, 1.0], name="bias")
        loss = ops.sum(ops.sqrt(w) + bias)
        step = Sgd(learning_rate=0.1, clip_value=clip_value).minimize(loss)
    session = Session(graph)
    if clip_value is None:
        with pytest.raises(DivergedError, match="sgd/gradient is not finite"):
            session.run([loss, step])
        assert session.value(w).tolist() == [0.0, 1.0]
        assert session.value(bias).tolist() == [1.0, 1.0]
        assert session.value(graph.step) == 0
    else:
        session.run([loss, step])
        np.testing.assert_allclose(session.value(w), [-0.3, 0.95], rtol=1e-6)
