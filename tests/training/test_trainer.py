"""The loop against plain NumPy, and its bookkeeping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_helpers import CLASSES, autoencoder_config, busy_config, parsed, softmax_config, write_data

from dltrain.datasets import epoch_order
from dltrain.errors import ConfigError, DivergedError, DltrainWarning
from dltrain.execution import Session
from dltrain.runs.run import Run
from dltrain.training.evaluation import Evaluator
from dltrain.training.records import CheckpointSaved, EpochDone, Finished, Record, Started, StepDone
from dltrain.training.state import TrainingState
from dltrain.training.trainer import Trainer

Array = np.ndarray[Any, Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path)


def trainer_for(text: str, saved: list[tuple[int, bool]] | None = None, **options: Any) -> Trainer:
    """A trainer whose checkpoints are noted in `saved`, as (step, best)."""
    prepared = Run(parsed(text))

    def save(state: TrainingState, best: bool) -> Path:
        if saved is not None:
            saved.append((state.step, best))
        return Path("somewhere")

    session = Session(prepared.network.graph)
    return Trainer(
        prepared.network,
        prepared.training,
        session,
        prepared.data,
        TrainingState(),
        save,
        **options,
    )


def of_type(records: list[Record], kind: type[Any]) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


def examples(trainer: Trainer, split: str) -> tuple[Array, Array]:
    part = trainer.data.splits[split]
    inputs, labels = part.arrays()
    return inputs.reshape(len(part), -1).astype(np.float64), labels


def losses_of(weights: Array, bias: Array, inputs: Array, labels: Array) -> tuple[Array, Array]:
    """Cross entropies and probabilities of softmax regression."""
    logits = inputs @ weights + bias
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.log(probabilities[np.arange(len(labels)), labels]), probabilities


def test_softmax_regression_takes_the_steps_of_plain_numpy(data: Path) -> None:
    trainer = trainer_for(softmax_config(data))
    inputs, labels = examples(trainer, "train")
    validation = examples(trainer, "validation")
    weights, bias = np.zeros((16, CLASSES)), np.zeros(CLASSES)
    expected_train, expected_validation, step_losses = [], [], []
    for epoch in (1, 2, 3):
        order = epoch_order(40, seed=0, epoch=epoch)
        total = 0.0
        for start in range(0, 40, 7):  # 5 batches of 7, and one of 5
            x, y = inputs[order[start : start + 7]], labels[order[start : start + 7]]
            losses, probabilities = losses_of(weights, bias, x, y)
            step_losses.append(losses.mean())
            total += losses.sum()
            error = probabilities - np.eye(CLASSES)[y]
            weights, bias = weights - 0.5 * x.T @ error / len(x), bias - 0.5 * error.mean(axis=0)
        expected_train.append(total / 40)
        losses, probabilities = losses_of(weights, bias, *validation)
        accuracy = np.mean(probabilities.argmax(axis=1) == validation[1])
        expected_validation.append((losses.mean(), accuracy))

    records = list(trainer.fit())

    steps = of_type(records, StepDone)
    assert [step.step for step in steps] == list(range(1, 19))
    assert [step.epoch for step in steps] == [1] * 6 + [2] * 6 + [3] * 6
    np.testing.assert_allclose([step.loss for step in steps], step_losses, rtol=1e-5)
    assert {step.learning_rate for step in steps} == {0.5}
    epochs = of_type(records, EpochDone)
    np.testing.assert_allclose([epoch.train["loss"] for epoch in epochs], expected_train, rtol=1e-5)
    np.testing.assert_allclose(
        [(epoch.validation["loss"], epoch.validation["accuracy"]) for epoch in epochs],
        expected_validation,
        rtol=1e-5,
    )
    values = trainer.session.state()
    np.testing.assert_allclose(values["softmax_regression/dense/kernel"], weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values["softmax_regression/dense/bias"], bias, rtol=1e-4, atol=1e-6)


def test_the_first_and_the_last_record(data: Path) -> None:
    records = list(trainer_for(softmax_config(data)).fit())
    assert records[0] == Started(
        parameters=16 * 3 + 3,
        total_steps=18,
        total_epochs=3,
        steps_per_epoch=6,
        start_step=0,
        units={"loss": "", "accuracy": "%"},
    )
    last = records[-1]
    assert isinstance(last, Finished)
    assert (last.step, last.epoch, last.reason) == (18, 3, "completed")
    figures = {epoch.step: dict(epoch.validation) for epoch in of_type(records, EpochDone)}
    assert last.final == figures[18]
    assert last.best == figures[last.best_step]
    assert last.best["loss"] == min(epoch["loss"] for epoch in figures.values())


@pytest.mark.parametrize("batch_size", [1, 3, 10, 1000])
def test_figures_do_not_depend_on_the_evaluation_batches(data: Path, batch_size: int) -> None:
    text = softmax_config(data, evaluation_batch_size=batch_size) + "metrics: [accuracy, confusion_matrix]\n"
    trainer = trainer_for(text)
    list(trainer.fit())
    figures = Evaluator(trainer.session, trainer.network)(trainer.data.splits["test"])
    values = trainer.session.state()
    inputs, labels = examples(trainer, "test")
    losses, probabilities = losses_of(
        values["softmax_regression/dense/kernel"], values["softmax_regression/dense/bias"], inputs, labels
    )
    found = probabilities.argmax(axis=1)
    matrix = np.zeros((CLASSES, CLASSES), np.int64)
    np.add.at(matrix, (labels, found), 1)
    assert figures["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert figures["accuracy"] == pytest.approx(np.mean(found == labels), abs=1e-12)
    np.testing.assert_array_equal(figures["confusion_matrix"], matrix)


def test_steps_in_place_of_epochs_end_within_an_epoch(data: Path) -> None:
    saved: list[tuple[int, bool]] = []
    records = list(trainer_for(softmax_config(data, epochs="null", steps=8), saved).fit())
    assert [epoch.step for epoch in of_type(records, EpochDone)] == [6, 8]
    assert [epoch.epoch for epoch in of_type(records, EpochDone)] == [1, 2]
    assert records[0].total_epochs == 2  # type: ignore[union-attr]
    assert [step for step, _ in saved] == [6, 8]


def test_a_batch_larger_than_the_split(data: Path) -> None:
    line = "batch larger than the training split: train.batch_size: it is 100, and there are 40 examples"
    with pytest.warns(DltrainWarning, match=line):
        trainer = trainer_for(softmax_config(data, batch_size=100, epochs=2))
    records = list(trainer.fit())
    assert len(of_type(records, StepDone)) == 2


def test_the_reported_loss_is_the_cost_without_penalty(data: Path) -> None:
    penalty = softmax_config(data).replace("cost: cross_entropy", "cost: {name: cross_entropy, l2: 1.0}")
    plain, penalized = (
        of_type(list(trainer_for(text).fit()), StepDone) for text in (softmax_config(data), penalty)
    )
    # The first step starts from weights of 0, where the penalty has no gradient yet.
    assert [step.loss for step in plain[:2]] == [step.loss for step in penalized[:2]]
    assert plain[2].loss < penalized[2].loss


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("1 epoch", [6, 12, 18]),
        ("2 epochs", [12, 18]),
        ("4 steps", [4, 8, 12, 16, 18]),
        ("6 steps", [6, 12, 18]),
    ],
)
def test_checkpoints_come_as_often_as_asked_and_at_the_end(
    data: Path, every: str, expected: list[int]
) -> None:
    saved: list[tuple[int, bool]] = []
    never_better = "{metric: accuracy, mode: min}"  # so that only the first is the best
    trainer = trainer_for(softmax_config(data, checkpoint_every=every, keep_best=never_better), saved)
    trainer.state.best_value = -1.0
    list(trainer.fit())
    assert saved == [(step, False) for step in expected]


def test_the_best_checkpoint_is_saved_whenever_it_comes(data: Path) -> None:
    saved: list[tuple[int, bool]] = []
    trainer = trainer_for(softmax_config(data, epochs=10, checkpoint_every="100 epochs"), saved)
    records = list(trainer.fit())
    best, expected = np.inf, []
    for epoch in of_type(records, EpochDone):
        if epoch.validation["loss"] < best or epoch.step == 60:
            expected.append((epoch.step, epoch.validation["loss"] < best))
            best = min(best, epoch.validation["loss"])
    assert saved == expected
    assert [(r.step, r.best) for r in of_type(records, CheckpointSaved)] == expected


def test_without_validation_the_last_is_the_best(data: Path) -> None:
    saved: list[tuple[int, bool]] = []
    trainer = trainer_for(softmax_config(data).replace("validation_size: 10", "validation_size: 0"), saved)
    records = list(trainer.fit())
    assert saved == [(8, True), (16, True), (24, True)]
    assert all(epoch.validation == {} for epoch in of_type(records, EpochDone))
    assert records[-1].best_step == 24  # type: ignore[union-attr]


def test_early_stopping_waits_for_its_patience(data: Path) -> None:
    stopping = "{patience: 2, min_delta: 5.0}"  # no loss here ever improves by so much
    records = list(trainer_for(softmax_config(data, epochs=50, early_stopping=stopping)).fit())
    assert [epoch.epoch for epoch in of_type(records, EpochDone)] == [1, 2, 3]
    last = records[-1]
    assert isinstance(last, Finished)
    assert last.reason == "early stopping: loss did not improve for 2 epochs"


def test_early_stopping_goes_on_while_accuracy_rises() -> None:
    from dltrain.training.run_config import EarlyStopping, Train

    train = Train(epochs=9, batch_size=1, early_stopping=EarlyStopping(patience=2, metric="accuracy"))
    state = TrainingState()
    waited = []
    for accuracy in (0.5, 0.6, 0.6, 0.7, 0.1, 0.69):
        state.count_evaluation({"loss": 1.0, "accuracy": accuracy}, train, {"accuracy"})
        waited.append(state.waited)
    assert waited == [0, 0, 1, 0, 1, 2]


def test_should_stop_ends_after_the_step_with_a_checkpoint(data: Path) -> None:
    saved: list[tuple[int, bool]] = []
    asked = iter([False] * 3 + [True])
    records = list(trainer_for(softmax_config(data), saved, should_stop=lambda: next(asked)).fit())
    assert saved == [(4, False)]
    assert isinstance(records[-1], CheckpointSaved)


def test_a_loss_that_is_not_finite_stops_before_the_update(data: Path) -> None:
    text = autoencoder_config(data).replace("[8, 3]", "[8, 3], output_activation: linear")
    trainer = trainer_for(text.replace("optimizer: adam", "optimizer: {name: sgd, learning_rate: 1e25}"))
    states = [trainer.session.state()]

    def train() -> None:
        for record in trainer.fit():
            if isinstance(record, StepDone):
                states.append(trainer.session.state())

    with pytest.raises(DivergedError) as caught:
        train()
    assert f"training diverged at step {len(states)} (epoch 1)" in str(caught.value)
    assert "it begins at training/" in str(caught.value)
    for name, value in trainer.session.state().items():
        np.testing.assert_array_equal(value, states[-1][name])


def test_a_loss_that_rises_beyond_all_use_is_divergence_too(data: Path) -> None:
    text = softmax_config(data).replace("learning_rate: 0.5", "learning_rate: 1e8")
    trainer = trainer_for(text)
    losses = []

    def train() -> None:
        for record in trainer.fit():
            if isinstance(record, StepDone):
                losses.append(record.loss)

    with pytest.raises(
        DivergedError, match=rf"at step \d .*it rose from {np.log(3):.3g} at the first step to"
    ):
        train()
    assert max(losses) < 1e5 * losses[0]


def test_a_variable_that_is_not_finite_is_named(data: Path) -> None:
    trainer = trainer_for(softmax_config(data))
    bias = next(v for v in trainer.network.graph.variables if v.name.endswith("bias"))
    trainer.session.assign(bias, np.array([0, np.nan, 0], np.float32))
    with pytest.raises(DivergedError, match=r"at step 1 .*variable softmax_regression/dense/bias is not"):
        list(trainer.fit())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"keep_best": "{metric: acuracy}"}, "train.keep_best watches 'acuracy'"),
        ({"early_stopping": "{patience: 1, metric: mse}"}, "train.early_stopping watches 'mse'"),
    ],
)
def test_a_figure_to_watch_that_is_not_computed(data: Path, setting: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Run(parsed(softmax_config(data, **setting)))


def test_an_array_cannot_be_watched(data: Path) -> None:
    text = softmax_config(data, keep_best="{metric: confusion_matrix}") + "metrics: [confusion_matrix]\n"
    with pytest.raises(ConfigError, match="'confusion_matrix', which is an array, not one number"):
        Run(parsed(text))


def test_early_stopping_without_validation(data: Path) -> None:
    text = softmax_config(data, early_stopping="{patience: 1}").replace(
        "validation_size: 10", "validation_size: 0"
    )
    with pytest.raises(ConfigError, match="early stopping needs a validation split"):
        Run(parsed(text))


def test_the_averages_of_batch_norm_follow_the_data(data: Path) -> None:
    trainer = trainer_for(busy_config(data))
    before = trainer.session.state()
    list(trainer.fit())
    after = trainer.session.state()
    for name in ("moving_mean", "moving_variance"):
        assert (
            np.abs(after[f"sequential/batch_norm/{name}"] - before[f"sequential/batch_norm/{name}"]).min()
            > 1e-3
        )


def test_the_same_config_gives_the_same_bits(data: Path) -> None:
    first, second, other = (
        trainer_for(text)
        for text in (busy_config(data), busy_config(data), busy_config(data).replace("seed: 3", "seed: 4"))
    )
    figures = [
        [record.loss for record in trainer.fit() if isinstance(record, StepDone)]
        for trainer in (first, second, other)
    ]
    assert figures[0] == figures[1] != figures[2]
    states = [trainer.session.state() for trainer in (first, second)]
    assert all(states[0][name].tobytes() == states[1][name].tobytes() for name in states[0])


def test_a_gradient_that_is_not_finite_stops_training_before_the_update(data: Path) -> None:
    """All activations are 0, so is what large weights make of them; back come products of these weights."""
    model = "{name: mlp, hidden: [4, 4], activation: tanh}"
    trainer = trainer_for(softmax_config(data).replace("softmax_regression", model))
    session = trainer.session
    first, second, third = (v for v in trainer.network.graph.variables if v.name.endswith("kernel"))
    session.assign(first, np.zeros(first.spec.sizes))
    session.assign(second, np.full(second.spec.sizes, 1e25))
    session.assign(third, [[1e25, 0, 0]] * 4)
    state = session.state()
    with pytest.raises(DivergedError) as caught:
        list(trainer.fit())
    assert "training diverged at step 1 (epoch 1)" in str(caught.value)
    assert f"the new value of {first.name} would not be finite, it begins at " in str(caught.value)
    assert "learning_rate" not in caught.value.fix  # no step was made yet
    for name, value in session.state().items():
        np.testing.assert_array_equal(value, state[name])
