"""Wrong config files as a whole, and wrong overrides; what is right beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_helpers import Dltrain
from wrong_inputs import Refused, config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the config is empty: c.yaml; write keys and values, such as 'seed: 0'"),
        (
            "- seed",
            "a config is a mapping of keys: c.yaml:1:1: this is a list of 1 item; write 'key: value', ...",
        ),
        (
            config() + "seed: 1\n",
            "key 'seed' is given twice: c.yaml:7:1: the first is at c.yaml:1:1; keep one of them",
        ),
        (
            config("train: {epochs: 2"),
            "not valid YAML: c.yaml:6:8: ...; separate by commas and close the bracket",
        ),
        (
            config().replace("seed: 0", "seed: a: b"),
            "not valid YAML: c.yaml:1:8: ...; check the indentation, ...",
        ),
        ("train:\n\tepochs: 2\n", "a tab where YAML takes only spaces: c.yaml:2:1; use spaces"),
        (
            config("seed: *other"),
            "an alias (*other) is not used in a config: c.yaml:1:7; write the value out",
        ),
        (
            config("seed: !!python/name:os.system"),
            "a tag (...) is not used in a config: c.yaml:1:7; remove it",
        ),
        ("seed: 0\n---\nseed: 1\n", "a second YAML document (---) is not used ...: c.yaml:2:1; keep one ..."),
        (b"seed: \xff", "the config file is not text in UTF-8: c.yaml:1:7: byte 0xff; save it as UTF-8"),
        ("seed: \x07", "character '\\x07' cannot be in YAML: c.yaml:1:7; remove it; ..."),
        ("[" * 99, "nested deeper than 64 levels: c.yaml:1:65; take levels away"),
        (
            config("seed: -1", "cost: CrossEntropyLoss", "model: {name: mlp, hiden: [8]}"),
            "seed must be at least 0: c.yaml:1:7: it is -1; ...\n"
            "key 'hidden' of model 'mlp' is missing: c.yaml:3:1; add it (...)\n"
            "unknown key 'hiden' of model 'mlp': c.yaml:3:20; did you mean 'hidden'? (...)\n"
            "unknown cost 'CrossEntropyLoss': c.yaml:4:7; its name here is 'cross_entropy'",
        ),
    ],
)
def test_a_wrong_file(refused: Refused, text: str | bytes, expected: str) -> None:
    Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    for command in ("fit", "validate"):
        refused(2, expected, command, "c.yaml")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("c.yml", "no such config file: c.yml; did you mean 'c.yaml'?"),
        ("none/c.yaml", "no such config file: none/c.yaml; ..."),
        (".", "not a config file but a folder: .; in that folder: c.yaml"),
        ("data.npz", "the config file is not text in UTF-8: data.npz:...; save it as UTF-8"),
    ],
)
def test_no_config_there(refused: Refused, name: str, expected: str) -> None:
    for command in ("fit", "validate"):
        refused(2, expected, command, name)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed", "an override without '=': HERE; write key=value, such as optimizer.learning_rate=1e-3"),
        ("=3", "an override with an empty key, or spaces around one: HERE; write key=value, ..."),
        (
            "model..hidden=3",
            "an override with an empty key, or spaces around one: HERE; write key=value, ...",
        ),
        ("seed=", "an override without a value: HERE; write seed=null for no value"),
        ("model.hidden=[1", "not valid YAML: HERE: ...; separate by commas and close the bracket"),
        (
            "model.hidden.1=3",
            "no item '1' in 'model.hidden': HERE: the list has 1 item, counted from 0; write ...",
        ),
        ("model.hidden.-1=3", "no item '-1' in 'model.hidden': HERE: the list has 1 item, ...; write ..."),
        ("seed.first=3", "'seed' has no keys: HERE: it is 0; write seed=... to give it a value"),
        ("sed=3", "unknown key 'sed': HERE; did you mean 'seed'? (...)"),
        (
            "optimizer.learning_rte=1",
            "unknown key 'learning_rte' of optimizer 'adam': HERE; did you mean 'learning_rate'? (...)",
        ),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate must be greater than 0: HERE: it is -1; ..."),
        ("train.batch_size='9'", "train.batch_size must be an integer: HERE: ...; write it without quotes"),
        ("train.steps=4", "train takes either epochs or steps: c.yaml:6:8: both are given; give one, ..."),
    ],
)
def test_a_wrong_override(refused: Refused, override: str, expected: str) -> None:
    for command in ("fit", "validate"):
        refused(2, expected.replace("HERE", f"override {override!r}"), command, "c.yaml", override)


def test_numbers_as_people_write_them(dltrain_here: Dltrain) -> None:
    for number in ("1e-3", "1E-3", ".001", "0.001", "1.e-3"):
        assert (
            dltrain_here("fit", "c.yaml", f"optimizer.learning_rate={number}", "--run-dir", number).code == 0
        )
        assert "learning_rate: 0.001\n" in Path(number, "config.yaml").read_text()


def test_a_batch_larger_than_the_data_is_all_of_it(dltrain_here: Dltrain) -> None:
    for size in ("40", "1000000000000"):
        assert dltrain_here("fit", "c.yaml", f"train.batch_size={size}", "--run-dir", size).code == 0
    figures = [Path(size, "summary.json").read_text() for size in ("40", "1000000000000")]
    assert figures[0] == figures[1]
