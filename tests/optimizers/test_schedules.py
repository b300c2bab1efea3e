"""Schedules against their formulas in plain Python, step by step."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, floor, pi

import numpy as np
import pytest

from dltrain.autodiff import Graph, placeholder
from dltrain.errors import ConfigError
from dltrain.execution import Session
from dltrain.optimizers import Constant, Cosine, Exponential, OneCycle, Schedule, Sgd, StepDecay

RATE = 0.2
TOTAL = 50


def rates(schedule: Schedule, steps: range, total: int | None = TOTAL) -> list[float]:
    with Graph() as graph:
        step = placeholder("int64", (), "step")
        rate = Sgd(learning_rate=RATE, schedule=schedule).learning_rate_at(step, total)
    assert rate.dtype == np.float64
    assert rate.shape == ()
    session = Session(graph)
    return [session.run(rate, {step: s}) for s in steps]


def one_cycle(s: int, total: int = TOTAL) -> float:
    x = s / (total - 1)
    if x < 0.3:
        return 1 / 25 + (1 - 1 / 25) * (1 - cos(pi * x / 0.3)) / 2
    end = 1 / 25 / 1e4
    return end + (1 - end) * (1 + cos(pi * (x - 0.3) / 0.7)) / 2


CASES: dict[str, tuple[Schedule, Callable[[int], float]]] = {
    "constant": (Constant(), lambda s: 1.0),
    "step": (StepDecay(decay_rate=0.5, decay_steps=7), lambda s: 0.5 ** floor(s / 7)),
    "step_share": (StepDecay(decay_rate=0.5, decay_steps=0.2), lambda s: 0.5 ** floor(s / 10)),
    "exponential": (Exponential(decay_rate=0.9, decay_steps=3), lambda s: 0.9 ** (s / 3)),
    "cosine": (Cosine(final_factor=0.1), lambda s: 0.1 + 0.9 * (1 + cos(pi * s / TOTAL)) / 2),
    "one_cycle": (OneCycle(), one_cycle),
    "warm_constant": (Constant(warmup=4), lambda s: (s + 1) / 4 if s < 4 else 1.0),
    "warm_share": (Constant(warmup=0.1), lambda s: (s + 1) / 5 if s < 5 else 1.0),
    "warm_cosine": (
        Cosine(warmup=10),
        lambda s: (s + 1) / 10 if s < 10 else (1 + cos(pi * (s - 10) / (TOTAL - 10))) / 2,
    ),
    "warm_one_cycle": (
        OneCycle(warmup=10),
        lambda s: (s + 1) / 10 if s < 10 else one_cycle(s - 10, TOTAL - 10),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_formula_at_every_step(case: str) -> None:
    schedule, formula = CASES[case]
    steps = range(TOTAL)
    np.testing.assert_allclose(
        rates(schedule, steps), [RATE * formula(s) for s in steps], rtol=1e-12, atol=1e-16
    )


def test_one_cycle_peaks_and_ends_where_it_says() -> None:
    found = rates(OneCycle(), range(101), total=101)
    assert found[0] == pytest.approx(RATE / 25)
    assert found[30] == max(found) == pytest.approx(RATE)
    assert found[100] == pytest.approx(RATE / 25 / 1e4)


@pytest.mark.parametrize("schedule", [Cosine(), Cosine(final_factor=0.2), OneCycle()])
def test_after_the_last_step_the_rate_stays(schedule: Schedule) -> None:
    found = rates(schedule, range(TOTAL, TOTAL + 3))
    assert len(set(found)) == 1
    assert found[0] >= 0


@pytest.mark.parametrize("total", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_very_short_trainings_have_finite_rates(case: str, total: int) -> None:
    found = rates(CASES[case][0], range(total), total)
    assert all(0 < rate <= RATE * (1 + 1e-12) for rate in found)


@pytest.mark.parametrize("schedule", [Cosine(), OneCycle(), StepDecay(), Exponential(), Constant(warmup=0.5)])
def test_schedules_over_all_steps_need_their_number(schedule: Schedule) -> None:
    with pytest.raises(ConfigError, match="needs to know the number of steps"):
        rates(schedule, range(1), total=None)


def test_schedules_in_steps_do_without_the_total() -> None:
    assert rates(StepDecay(decay_steps=10, decay_rate=0.1), range(30), total=None)[-1] == pytest.approx(0.002)
    assert rates(Constant(warmup=2), range(3), total=None) == [RATE / 2, RATE, RATE]


@pytest.mark.parametrize("warmup", [-1, 1.5, 0.0, True, "3"])
def test_warmups_that_are_none_are_refused(warmup: object) -> None:
    with pytest.raises(ConfigError, match="warmup must be"):
        Constant(warmup=warmup)


def test_the_update_uses_the_rate_of_its_step() -> None:
    from dltrain.autodiff import Variable, ops

    schedule = StepDecay(decay_steps=2, decay_rate=0.5)
    with Graph() as graph:
        variable = Variable(0.0, dtype="float64", name="w")
        updates = Sgd(learning_rate=1.0, schedule=schedule).minimize(ops.sum(variable))
    session = Session(graph)
    values = []
    for _ in range(5):
        session.run(updates)
        values.append(float(session.value(variable)))
    assert values == [-1, -2, -2.5, -3, -3.25]
