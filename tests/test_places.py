"""Places as they are shown, and keys that become positions in the user's file."""

import pytest

from dltrain.config import apply_overrides, parse_document
from dltrain.errors import ConfigError, DataError, StoppedError
from dltrain.places import TOP, Key, Place, Places, Position, SourceLine
from dltrain.training.config_file import located

DOCUMENT = parse_document("model:\n  layers:\n  - flatten\n  - units: 7\ncost: mse\n", "c.yaml")


@pytest.mark.parametrize(
    ("place", "text", "section"),
    [
        (Key("model", "layers", 2, "units"), "model.layers[2].units", "model"),
        (Key("cost"), "cost", "cost"),
        (TOP, "", ""),
        (Position("c.yaml", 3, 5), "c.yaml:3:5", ""),
        (SourceLine("train.py", 12), "train.py:12", ""),
        (Places(Key("cost"), Key("dataset", "target"), "a file"), "cost, dataset.target, a file", ""),
    ],
)
def test_places_are_shown_and_know_their_section(place: Place, text: str, section: str) -> None:
    assert str(place) == text
    assert place.section == section


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (Key("model", "layers", 1, "units"), "c.yaml:4:5 (model.layers[1].units)"),
        (Key("model", "layers", 9), "c.yaml:2:3 (model.layers[9])"),  # what encloses it
        (Places(Key("cost"), Key("model"), "x"), "c.yaml:5:1 (cost), c.yaml:1:1 (model), x"),
        ("model", "model"),  # a file of this name, say: text is no key
        ("", ""),
        (SourceLine("train.py", 12), "train.py:12"),
    ],
)
def test_keys_of_an_error_become_positions_on_the_way(where: Place | str, text: str) -> None:
    error = DataError("wrong", where=where)
    with pytest.raises(DataError) as raised, located(DOCUMENT):
        raise error
    assert raised.value is error
    assert str(error.where) == text


def test_an_override_is_the_place_of_its_key() -> None:
    document = apply_overrides(DOCUMENT, ["cost=mae"])
    with pytest.raises(ConfigError, match=r"^bad: override 'cost=mae' \(cost\)$"), located(document):
        raise ConfigError("bad", where=Key("cost"))


def test_an_error_keeps_what_is_its_own_and_all_its_problems() -> None:
    with pytest.raises(StoppedError) as stopped, located(DOCUMENT):
        raise StoppedError("stopped", signal_number=15)
    assert stopped.value.exit_code == 143
    both = ConfigError.together([ConfigError("a", where=Key("cost")), ConfigError("b", where=Key("model"))])
    with pytest.raises(ConfigError) as raised, located(DOCUMENT):
        raise both
    assert raised.value.lines == ["a: c.yaml:5:1 (cost)", "b: c.yaml:1:1 (model)"]
