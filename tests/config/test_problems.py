"""Each problem of a config is one line that names place, key, value and what to do; all come at once."""

from __future__ import annotations

from typing import Any

import pytest
from config.toy_components import Config
from hypothesis import given
from hypothesis import strategies as st

from dltrain.config import apply_overrides, parse, parse_document, to_yaml
from dltrain.errors import ConfigError

CONFIG_KEYS = "(keys: seed, root, hidden, pair, weights, optimizer, adaptive, layers, train)"


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(Config, apply_overrides(parse_document(text, "x.yaml"), overrides))
    assert caught.value.exit_code == 2
    return caught.value.lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: 1", "key 'optimizer' is missing: x.yaml:1:1; add it (how to descend)"),
        (
            "{optimizer: adam, sead: 1}",
            f"unknown key 'sead': x.yaml:1:19; did you mean 'seed'? {CONFIG_KEYS}",
        ),
        ("{optimizer: adam, zzz: 1}", f"unknown key 'zzz': x.yaml:1:19; {CONFIG_KEYS[1:-1]}"),
        (
            "optimizer:\n  name: sgd\n  learing_rate: 1",
            "unknown key 'learing_rate' of toy optimizer 'sgd': x.yaml:3:3; did you mean 'learning_rate'? "
            "(keys: learning_rate, schedule, momentum)",
        ),
        (
            "{optimizer: {name: sgd, lr: 1}}",
            "unknown key 'lr' of toy optimizer 'sgd': x.yaml:1:25; write learning_rate instead "
            "(keys: learning_rate, schedule, momentum)",
        ),
        (
            "{optimizer: {name: adam, eps: 1}}",
            "unknown key 'eps' of toy optimizer 'adam': x.yaml:1:26; write epsilon instead "
            "(keys: learning_rate, schedule, epsilon, beta_1, amsgrad, mode)",
        ),
        (
            "{optimizer: {name: sgd, schedule: {name: constant, x: 1}}}",
            "unknown key 'x' of toy schedule 'constant': x.yaml:1:52; it has no keys",
        ),
        (
            "{optimizer: adam, train: {n_epochs: 1}}",
            "unknown key 'n_epochs' of 'train': x.yaml:1:27; write epochs instead (keys: epochs,",
        ),
        (
            "optimizer: adm",
            "unknown toy optimizer 'adm': x.yaml:1:12; did you mean 'adam'? (known: sgd, adam, rmsprop)",
        ),
        (
            "optimizer: {name: Adam}",
            "unknown toy optimizer 'Adam': x.yaml:1:19; its name here is 'adam'",
        ),
        ("optimizer: zzz", "unknown toy optimizer 'zzz': x.yaml:1:12; known: sgd, adam, rmsprop"),
        ("optimizer: SGD", "unknown toy optimizer 'SGD': x.yaml:1:12; its name here is 'sgd'"),
        (
            "optimizer: {learning_rate: 1}",
            "the toy optimizer has no name: x.yaml:1:12; add 'name:' (known: sgd,",
        ),
        ("optimizer: {name: 3}", "the name of the toy optimizer must be text: x.yaml:1:19; known: sgd, adam"),
        (
            "optimizer: 3",
            "optimizer must be the name of a known toy optimizer, or a mapping with 'name': x.yaml:1:12: "
            "it is 3; known: sgd, adam, rmsprop",
        ),
        (
            "optimizer:",
            "optimizer must be the name of a known toy optimizer, or a mapping with 'name': x.yaml:1:11",
        ),
        (
            "{optimizer: {name: sgd, learning_rate: 0}}",
            "optimizer.learning_rate must be greater than 0: x.yaml:1:40: it is 0; "
            "give a number greater than 0 (size of a step)",
        ),
        (
            "{optimizer: {name: sgd, momentum: -1}}",
            "optimizer.momentum must be at least 0: x.yaml:1:35: it is -1; give a number of at least 0",
        ),
        (
            "{optimizer: {name: sgd, momentum: 1}}",
            "optimizer.momentum must be less than 1: x.yaml:1:35: it is 1;",
        ),
        (
            "{optimizer: {name: sgd, momentum: .nan}}",
            "optimizer.momentum must be a finite number: x.yaml:1:35: it is nan; give a finite number (share",
        ),
        (
            "{optimizer: {name: sgd, momentum: '1e-3'}}",
            "optimizer.momentum must be a number: x.yaml:1:35: it is '1e-3'; write it without quotes",
        ),
        (
            "{optimizer: {name: adam, amsgrad: yes}}",
            "optimizer.amsgrad must be true or false: x.yaml:1:35: it is 'yes'; write true",
        ),
        (
            "{optimizer: {name: adam, mode: copled}}",
            "optimizer.mode must be one of 'coupled', 'decoupled': x.yaml:1:32: it is 'copled'; "
            "did you mean 'coupled'?",
        ),
        (
            "{optimizer: {name: adam, mode: 1}}",
            "optimizer.mode must be one of 'coupled', 'decoupled': x.yaml:1:32: it is 1; "
            "give one of 'coupled', 'decoupled' (where the decay goes)",
        ),
        ("{optimizer: adam, seed: 3.0}", "seed must be an integer: x.yaml:1:25: it is 3.0; write 3"),
        (
            "{optimizer: adam, seed: 3.5}",
            "seed must be an integer: x.yaml:1:25: it is 3.5; give an integer (seed of",
        ),
        (
            "{optimizer: adam, seed: true}",
            "seed must be an integer: x.yaml:1:25: it is true; give an integer",
        ),
        ("{optimizer: adam, seed: }", "seed must be an integer: x.yaml:1:24: it is null; give an integer"),
        ("{optimizer: adam, hidden: 256}", "hidden must be a list: x.yaml:1:27: it is 256; write [256]"),
        (
            "{optimizer: adam, hidden: []}",
            "hidden must be a list of at least 1 item: x.yaml:1:27: it is a list of 0",
        ),
        (
            "{optimizer: adam, hidden: [1, x]}",
            "hidden.1 must be an integer: x.yaml:1:31: it is 'x'; give an integer",
        ),
        ("{optimizer: adam, pair: [1]}", "pair has too few items: x.yaml:1:25; add one (two numbers)"),
        (
            "{optimizer: adam, pair: [1, 2, 3]}",
            "pair must be a list of at most 2 items: x.yaml:1:25: it is a list of 3",
        ),
        (
            "{optimizer: adam, root: 3}",
            "root must be a path: x.yaml:1:25: it is 3; give a path (folder of the data)",
        ),
        (
            "{optimizer: adam, weights: {a: x}}",
            "weights.a must be a number: x.yaml:1:32: it is 'x'; give a number",
        ),
        ("{optimizer: adam, weights: 3}", "weights must be a mapping: x.yaml:1:28: it is 3; give a mapping"),
        (
            "{optimizer: adam, train: 5}",
            "train must be a mapping of keys: x.yaml:1:26: it is 5; "
            "write its keys below it, 'key: value' a line (keys: epochs, warmup, limit)",
        ),
        (
            "{optimizer: adam, layers: flatten}",
            "layers must be a list: x.yaml:1:27: it is 'flatten'; write [flatten]",
        ),
        (
            "{optimizer: adam, layers: [dense]}",
            "key 'units' of toy layer 'dense' is missing: x.yaml:1:28; add it (outp",
        ),
        (
            "{optimizer: adam, layers: [{name: stack, layers: [flatten, {name: dense, units: 0}]}]}",
            "layers.0.layers.1.units must be greater than 0: x.yaml:1:81: it is 0;",
        ),
        (
            "{optimizer: adam, layers: [{name: dense, units: 1, size: x}]}",
            "layers.0.size must be a number: x.yaml:1:58: it is 'x'; give a number (a union)",
        ),
        (
            "{optimizer: adam, layers: [{name: stack, drop: {name: step, every: 0}}]}",
            "layers.0.drop.every must be greater than 0: x.yaml:1:68: it is 0;",
        ),
        (
            "{optimizer: adam, layers: [{name: stack, drop: [1]}]}",
            "layers.0.drop must be the name of a known toy schedule, or a mapping with 'name' or a number: "
            "x.yaml:1:48: it is a list of 1 item; known: constant, step",
        ),
        (
            "{optimizer: adam, train: {epochs: 5, warmup: 10}}",
            "warm-up longer than training: x.yaml:1:46: 10 > 5; shorten it",
        ),
        ('"\\x1b[2J": 1\noptimizer: adam', "unknown key '\\x1b[2J': x.yaml:1:1; keys: seed,"),
        ('{optimizer: "\\x1b\\n"}', "unknown toy optimizer '\\x1b\\n': x.yaml:1:13; known: sgd,"),
        (
            f"optimizer: {'x' * 500}",
            f"unknown toy optimizer '{'x' * 30}...{'x' * 30}': x.yaml:1:12; known: sgd,",
        ),
    ],
)
def test_a_problem_is_one_line(text: str, line: str) -> None:
    (found,) = problems(text)
    assert found[: len(line)] == line
    assert found.isprintable()


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    lines = problems(
        "sead: 1\n"
        "seed: -1\n"
        "layers:\n"
        "  - {name: dense, units: 1.5}\n"
        "  - nothing\n"
        "  - dense\n"
        "optimizer: {name: adam, lr: 1, beta_1: x}\n"
        "train: {epochs: 0, n_epochs: 3}\n"
    )
    places = [line.split("x.yaml:")[1].split(":")[0].split(";")[0] for line in lines]
    assert places == ["1", "2", "4", "5", "6", "7", "7", "8", "8"]


def test_a_problem_of_an_override_names_the_override() -> None:
    assert problems("optimizer: adam", "optimizer.learning_rate=-1", "trian.epochs=3") == [
        "optimizer.learning_rate must be greater than 0: override 'optimizer.learning_rate=-1': it is -1; "
        "give a number greater than 0 (size of a step)",
        f"unknown key 'trian': override 'trian.epochs=3'; did you mean 'train'? {CONFIG_KEYS}",
    ]


WORDS = st.sampled_from(
    [
        "name",
        "optimizer",
        "adaptive",
        "layers",
        "train",
        "pair",
        "weights",
        "drop",
        "units",
        "size",
        "epochs",
        "schedule",
        "then",
        "every",
        "adam",
        "sgd",
        "step",
        "dense",
        "stack",
        "flatten",
        "constant",
        "zzz",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
)


@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=5))
def test_any_data_gives_a_config_or_clear_problems(data: dict[str, Any]) -> None:
    try:
        parse(Config, parse_document(to_yaml(data), "x.yaml"))
    except ConfigError as error:
        unclear = [line for line in error.lines if ": x.yaml:" not in line or not line.isprintable()]
        assert unclear == []


def test_of_very_many_problems_the_first_are_told() -> None:
    lines = problems("optimizer: adam\n" + "".join(f"k{n}: 1\n" for n in range(5000)))
    assert len(lines) == 101
    assert lines[99].startswith("unknown key 'k99': x.yaml:101:1; ")
    assert lines[100] == "and 4900 more wrong keys: x.yaml; correct the first ones first"
