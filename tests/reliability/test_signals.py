"""A signal at a random moment: the step is finished and saved, the exit code is right, the run can go on.

100 moments for each: `python -m pytest -m slow tests/reliability/test_signals.py`.
"""

from __future__ import annotations

import random
import re
import signal
from pathlib import Path

import pytest
from reliability import faulty_fit
from reliability.experiment import STEPS, Experiment, steps_saved
from reliability.fork_server import Ended, ForkServer

ONE_STEP_AND_A_SAVE = 2.0  # seconds; they take some 0.02, but other processes may have the cores
AT_ONCE = 0.5 + 1.0  # what is promised, and more for a machine that is busy
OFTEN = pytest.mark.parametrize(
    "moments", [10, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
TRAINING = [phase for phase in faulty_fit.PHASES if phase not in ("start-up", "data loading", "exit")]


def signalled(
    experiment: Experiment,
    server: ForkServer,
    run: Path,
    moment: tuple[str, int],
    *signals: int,
    apart: int = 0,
) -> Ended:
    """A new run that gets the first signal at the moment, and each further one so many events later."""
    moments = [moment, *(("any", apart) for _ in signals[1:])]
    return server.run(
        faulty_fit.fit_with_signals,
        experiment.folder,
        words=experiment.words(run),
        moments=moments,
        signals=signals,
    )


def seconds_to_stop(ended: Ended) -> float:
    """From the last signal to the end of the process."""
    seconds: float = ended.time - ended.all_told("signal")[-1][1]
    return seconds


def step_named(ended: Ended, run: Path) -> int:
    """The step that the error says was the last one, with how to go on."""
    match = re.fullmatch(
        rf"dltrain: error: stopped by SIG\w+ after step (\d+); to go on: dltrain fit --resume {run}\n",
        ended.err,
    )
    assert match, ended.err
    return int(match[1])


def last_step_made(run: Path) -> int:
    """By the last row of the kind that every step writes."""
    *_, step = re.findall(
        r'"step": (\d+), "epoch": \d+, "split": "batch"', (run / "metrics.jsonl").read_text()
    )
    return int(step)


@OFTEN
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 138)]
)
def test_one_while_training(experiment: Experiment, number: int, code: int, moments: int) -> None:
    def stopped(server: ForkServer, run: Path, seed: int) -> None:
        chance = random.Random(f"{number} {seed}")
        phase = TRAINING[seed % len(TRAINING)]
        moment = phase, chance.randint(1, experiment.events[phase] * 9 // 10)
        ended = signalled(experiment, server, run, moment, number)
        assert ended.code == code, (moment, ended)
        assert step_named(ended, run) == last_step_made(run) == steps_saved(run)[-1], moment
        assert seconds_to_stop(ended) < ONE_STEP_AND_A_SAVE
        experiment.check_ends_right(server, run)

    experiment.each(range(moments), stopped)


@OFTEN
@pytest.mark.parametrize("phase", ["start-up", "exit"])
def test_one_before_or_after_training(experiment: Experiment, phase: str, moments: int) -> None:
    """Nothing is being trained that a step could finish: the exit code tells, and the run can go on."""

    def stopped(server: ForkServer, run: Path, seed: int) -> None:
        chance = random.Random(f"{phase} {seed}")
        moment = phase, chance.randint(1, experiment.events[phase] * 9 // 10)
        number = (signal.SIGINT, signal.SIGTERM)[seed % 2]
        ended = signalled(experiment, server, run, moment, number)
        assert ended.code == 128 + number, (moment, ended)
        assert len(ended.err.splitlines()) == 1, ended.err
        experiment.check_ends_right(server, run)

    experiment.each(range(moments), stopped)


@OFTEN
def test_a_second_interrupt(experiment: Experiment, moments: int) -> None:
    """It ends the process at once, in the middle of whatever it does; what was saved before is whole."""

    def stopped(server: ForkServer, run: Path, seed: int) -> None:
        chance = random.Random(seed)
        phase = TRAINING[seed % len(TRAINING)]
        moment = phase, chance.randint(1, experiment.events[phase] * 9 // 10)
        apart = chance.randint(1, 5000)  # a step has some 16,000 events
        ended = signalled(experiment, server, run, moment, signal.SIGINT, signal.SIGINT, apart=apart)
        assert ended.code == 130, (moment, apart, ended)
        assert "Traceback" not in ended.err
        assert seconds_to_stop(ended) < AT_ONCE
        assert steps_saved(run)[-1:] >= ended.all_told("saved")[-1:], (moment, apart)
        experiment.check_ends_right(server, run)

    experiment.each(range(moments), stopped)


def test_one_between_training_and_evaluation(experiment: Experiment) -> None:
    """As the progress bar is closed: it is not forgotten."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        run, server = experiment.folder / "run", experiment.servers[0]
        ended = server.run(
            faulty_fit.fit_interrupted_in,
            experiment.folder,
            words=experiment.words(run),
            number=number,
            place="dltrain.cli.progress.Progress.close",
        )
        assert ended.code == 128 + number, ended.err
        assert step_named(ended, run) == STEPS
        experiment.check_ends_right(server, run)


def test_one_where_any_error_means_damage(experiment: Experiment) -> None:
    """While a checkpoint is read to go on from it: it is not damaged, and no earlier one is to be used."""
    run, server = experiment.folder / "run", experiment.servers[0]
    assert server.run(faulty_fit.fit, experiment.folder, words=experiment.words(run)).code == 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        ended = experiment.servers[0].run(
            faulty_fit.fit_interrupted_in,
            experiment.folder,
            words=experiment.words(run),
            number=number,
            place="safetensors.numpy.load",
        )
        assert (ended.code, len(ended.err.splitlines())) == (128 + number, 1), ended.err
    experiment.check_ends_right(server, run)


def test_one_that_python_would_drop(experiment: Experiment) -> None:
    """As it drops all that is raised in a finalizer."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        ended = experiment.servers[0].run(
            faulty_fit.fit_interrupted_in_a_finalizer, experiment.folder, words=["none.yaml"], number=number
        )
        assert (ended.code, len(ended.err.splitlines())) == (128 + number, 1), ended.err
