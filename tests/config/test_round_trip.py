"""What `to_yaml` writes reads back as equal data, by dltrain and by PyYAML's own loader."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from config.toy_components import Adam, Config, Dense, Flatten, RmsProp, Sgd, Stack, Step, Train
from hypothesis import given
from hypothesis import strategies as st

from dltrain.config import dump, parse, parse_document, to_yaml

ENCODABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
LOOKS_LIKE_ELSE = st.sampled_from(
    [
        "no",
        "Yes",
        "ON",
        "null",
        "~",
        "",
        "1e-3",
        "010",
        "true",
        ".inf",
        "a: b",
        "- a",
        "#",
        "<<",
        "a #b",
        "...",
        "-",
    ]
)
KEYS = st.text(ENCODABLE, max_size=20) | LOOKS_LIKE_ELSE
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**90), 10**90)
    | st.floats(allow_nan=False)
    | st.text(ENCODABLE)
    | LOOKS_LIKE_ELSE
)
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


def exactly(value: Any) -> Any:
    """With the type of each scalar, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return [(key, exactly(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [exactly(item) for item in value]
    return type(value), value


@given(st.dictionaries(KEYS, DATA, min_size=1, max_size=4))
def test_any_data_comes_back_equal(data: dict[str, Any]) -> None:
    text = to_yaml(data)
    assert exactly(parse_document(text, "x.yaml").value) == exactly(data)
    assert exactly(yaml.safe_load(text)) == exactly(data)


def test_nan_comes_back() -> None:
    assert math.isnan(parse_document(to_yaml({"x": float("nan")}), "x.yaml").value["x"])


def test_floats_keep_all_digits() -> None:
    generator = random.Random(0)
    values = [generator.uniform(0, 1) * 10.0 ** generator.randint(-300, 300) for _ in range(200)]
    assert parse_document(to_yaml({"x": values}), "x.yaml").value["x"] == values


def test_what_a_person_reads() -> None:
    data = {
        "seed": 0,
        "dataset": {"name": "mnist", "root": "data/mnist"},
        "hidden": [256, 128],
        "answer": "no",
        "layers": [{"name": "dense", "init": {"name": "zeros"}}, {"name": "flatten"}],
        "grid": [[1, 2], []],
        "empty": {},
        "rate": 1e-05,
    }
    assert to_yaml(data) == (
        "seed: 0\n"
        "dataset:\n"
        "  name: mnist\n"
        "  root: data/mnist\n"
        "hidden: [256, 128]\n"
        'answer: "no"\n'
        "layers:\n"
        "  - name: dense\n"
        "    init:\n"
        "      name: zeros\n"
        "  - name: flatten\n"
        "grid:\n"
        "  - [1, 2]\n"
        "  - []\n"
        "empty: {}\n"
        "rate: 1.0e-05\n"
    )


@pytest.mark.parametrize(
    "config",
    [
        Config(optimizer=Adam()),
        Config(
            seed=3,
            root=Path("no"),
            hidden=(1,),
            pair=(0.1, 1e-9),
            weights={"a b": 0.5, "1": 2.0},
            optimizer=Sgd(momentum=0.25, schedule=Step(every=2, then=Step(every=1))),
            adaptive=RmsProp(),
            layers=[Flatten(), Stack(layers=[Dense(units=2, size=0.5), Dense(units=1, size=3), Stack()])],
            train=Train(epochs=3, limit=1e30),
        ),
    ],
)
def test_a_config_comes_back_equal_from_its_dump(config: Config) -> None:
    assert parse(Config, parse_document(to_yaml(dump(config)), "x.yaml")) == config
