"""Overrides set values by dotted paths, and say what is wrong with a path."""

from __future__ import annotations

from typing import Any

import pytest

from dltrain.config import apply_overrides, parse_document
from dltrain.errors import ConfigError
from dltrain.places import Position

TEXT = """
seed: 0
optimizer: adam
train:
model:
  layers: [flatten, {name: dense, units: 3}]
"""


def overridden(*overrides: str) -> dict[str, Any]:
    value: dict[str, Any] = apply_overrides(parse_document(TEXT, "x.yaml"), overrides).value
    return value


def test_values_are_strict_yaml() -> None:
    value = overridden(
        "seed=7", "a=1e-3", "b=no", "c=[256, 128]", "d={name: sgd}", "e='1'", "f=null", "g=x=y"
    )
    assert value["seed"] == 7
    assert [value[key] for key in "abcdefg"] == [0.001, "no", [256, 128], {"name": "sgd"}, "1", None, "x=y"]


def test_a_key_below_a_bare_name_keeps_the_name() -> None:
    assert overridden("optimizer.learning_rate=0.1")["optimizer"] == {"name": "adam", "learning_rate": 0.1}
    assert overridden("model.layers.0.a.b=1")["model"]["layers"][0] == {"name": "flatten", "a": {"b": 1}}


def test_a_list_item_is_reached_by_its_index() -> None:
    assert overridden("model.layers.1.units=64")["model"]["layers"][1] == {"name": "dense", "units": 64}
    assert overridden("model.layers.1=dense")["model"]["layers"] == ["flatten", "dense"]


def test_missing_and_empty_mappings_are_made() -> None:
    value = overridden("train.epochs=3", "new.deep.key=1")
    assert value["train"] == {"epochs": 3}
    assert value["new"] == {"deep": {"key": 1}}


def test_a_later_override_wins_and_the_document_stays() -> None:
    document = parse_document(TEXT, "x.yaml")
    changed = apply_overrides(document, ["model.layers.0=a", "seed=1", "seed=2"])
    assert changed.value["seed"] == 2
    assert document.value == parse_document(TEXT, "x.yaml").value
    assert changed.text == TEXT


def test_positions_name_the_override() -> None:
    document = apply_overrides(
        parse_document(TEXT, "x.yaml"), ["optimizer.rates=[1, 2]", "model.layers.1={a: 1}"]
    )
    assert document.position(("optimizer",)) == Position("x.yaml", 3, 1)
    assert document.position(("optimizer", "name")) == Position("x.yaml", 3, 1)
    assert document.value_position(("optimizer", "name")) == Position("x.yaml", 3, 12)
    assert document.position(("optimizer", "rates", 1)) == "override 'optimizer.rates=[1, 2]'"
    assert document.position(("model", "layers", 1, "a")) == "override 'model.layers.1={a: 1}'"
    assert (
        document.position(("model", "layers", 1, "units")) == "override 'model.layers.1={a: 1}'"
    )  # it is gone
    assert document.position(("model", "layers", 0)) == Position("x.yaml", 6, 12)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("seed", "an override without '=': override 'seed'; write key=value"),
        ("=3", "an override with an empty key, or spaces around one: override '=3'"),
        ("a..b=3", "an override with an empty key, or spaces around one: override 'a..b=3'"),
        ("seed =3", "an override with an empty key, or spaces around one: override 'seed =3'"),
        ("seed=", "an override without a value: override 'seed='; write seed=null for no value"),
        ("seed.x=3", "'seed' has no keys: override 'seed.x=3': it is 0"),
        (
            "model.layers.2=x",
            "no item '2' in 'model.layers': override 'model.layers.2=x': the list has 2 items",
        ),
        ("model.layers.-1=x", "no item '-1' in 'model.layers'"),
        ("model.layers.two.x=1", "no item 'two' in 'model.layers'"),
        ("seed=[1", "not valid YAML: override 'seed=[1'"),
        ("seed=*x", "an alias (*x) is not used in a config: override 'seed=*x'"),
        ("seed={a: 1, a: 2}", "key 'a' is given twice: override 'seed={a: 1, a: 2}'"),
        ("seed=1e999", "number '1e999' cannot be read: override 'seed=1e999'"),
        ("seed=\x1b", "character '\\x1b' cannot be in YAML: override 'seed=\\x1b'"),
    ],
)
def test_a_wrong_override_is_one_line(override: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        overridden(override)
    assert str(caught.value)[: len(line)] == line
    assert str(caught.value).isprintable()


def test_all_wrong_overrides_are_named_together() -> None:
    with pytest.raises(ConfigError) as caught:
        overridden("a", "seed=1", "=b", "seed.x=2")
    assert [line.split(":")[0] for line in caught.value.lines] == [
        "an override without '='",
        "an override with an empty key, or spaces around one",
        "'seed' has no keys",
    ]
