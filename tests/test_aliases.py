"""The table of other libraries' names: it leads to what there is, and to the right one of several."""

from __future__ import annotations

from itertools import chain

import pytest

from dltrain.aliases import ELSEWHERE, KEYS, NAMES, key_here, name_here, ours
from dltrain.config import Component, Section
from dltrain.costs import Cost, CrossEntropy, Huber
from dltrain.datasets import Mnist
from dltrain.layers import Dense, Initializer, Layer
from dltrain.layers.activations import Activation
from dltrain.metrics import Metric
from dltrain.models import Autoencoder, Mlp, Model
from dltrain.optimizers import Adam, AdamW, FirstOrder, Optimizer, Schedule, Sgd
from dltrain.training.run_config import RunConfig, Train

KINDS = {
    base.component_kind: names
    for base, names in Component.registered_kinds().items()
    if base.__module__.startswith("dltrain.")
}


def sections(base: type[Section] = Section) -> list[type[Section]]:
    """All of the package's."""
    found = [cls for cls in base.__subclasses__() if cls.__module__.startswith("dltrain.")]
    return [*found, *chain.from_iterable(map(sections, found))]


def test_all_names_and_keys_are_there() -> None:
    assert NAMES.keys() <= set(chain.from_iterable(KINDS.values()))
    fields = [cls.model_fields.keys() for cls in sections()]
    assert [key for key in KEYS if not any(set(key.split(" and ")) <= keys for keys in fields)] == []
    for where in ELSEWHERE:
        section, _, key = where.partition(".")
        if key:
            assert key in {"optimizer": FirstOrder, "dataset": Mnist}[section].model_fields


@pytest.mark.parametrize("table", [NAMES, KEYS, ELSEWHERE])
def test_no_row_repeats_a_word(table: dict[str, str]) -> None:
    for words in table.values():
        assert len(set(words.lower().split())) == len(words.split()), words


@pytest.mark.parametrize(
    ("kind", "word", "name"),
    [
        (Optimizer, "SGD", "sgd"),
        (Optimizer, "momentum", "sgd"),
        (Optimizer, "GradientDescentOptimizer", "sgd"),
        (Optimizer, "adm", None),
        (Layer, "LayerNorm", "layer_norm"),
        (Layer, "relu", "activation"),
        (Activation, "ReLU", "relu"),
        (Activation, "none", "linear"),
        (Schedule, "none", "constant"),
        (Schedule, "CosineAnnealingLR", "cosine"),
        (Initializer, "kaiming_normal", "he_normal"),
        (Cost, "MeanSquaredError", "mse"),
        (Metric, "MeanSquaredError", "mse"),
        (Model, "softmax", "softmax_regression"),
    ],
)
def test_what_a_name_means_depends_on_the_kind(kind: type[Component], word: str, name: str | None) -> None:
    assert name_here(word, KINDS[kind.component_kind]) == name


@pytest.mark.parametrize(
    ("section", "word", "key"),
    [
        (Adam, "lr", "learning_rate"),
        (Adam, "learningRate", "learning_rate"),
        (Adam, "betas", "beta1 and beta2"),
        (Adam, "beta_1", "beta1"),
        (Adam, "momentum", "beta1"),
        (Sgd, "betas", None),
        (Sgd, "clipvalue", "clip_value"),
        (Sgd, "weight_decay", None),
        (AdamW, "decay", "weight_decay"),
        (Cost, "alpha", "l2"),
        (Huber, "beta", "delta"),
        (CrossEntropy, "smoothing", "label_smoothing"),
        (Mlp, "layers", "hidden"),
        (Autoencoder, "hidden", "encoder"),
        (Dense, "bias", "use_bias"),
        (Mnist, "path", "root"),
        (Train, "max_epochs", "epochs"),
        (RunConfig, "loss", "cost"),
    ],
)
def test_what_a_key_means_depends_on_the_section(section: type[Section], word: str, key: str | None) -> None:
    assert key_here(word, section.model_fields) == key


def test_keys_of_other_sections() -> None:
    assert ours("weight_decay", ELSEWHERE) == "l2 of the cost (or take the optimizer adamw)"
    assert ours("lr", ELSEWHERE) == "optimizer.learning_rate"
    assert ours("units", ELSEWHERE) is None
