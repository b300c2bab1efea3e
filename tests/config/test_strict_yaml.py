"""What YAML text means, where each part stands, and what is refused."""

from __future__ import annotations

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltrain.config import parse_document
from dltrain.errors import ConfigError
from dltrain.places import Position


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("3.0", 3.0),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("10", 10),
        ("+7", 7),
        ("-3", -3),
        ("010", 10),
        ("0", 0),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("True", "True"),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("Null", "Null"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("190:20:30", "190:20:30"),
        ("2001-12-14", "2001-12-14"),
        ("'1e-3'", "1e-3"),
        ('"true"', "true"),
        ("''", ""),
        ("e5", "e5"),
        ("inf", "inf"),
        ("nan", "nan"),
        ("=", "="),
        ("relu # the usual", "relu"),
        ("[256, 1e2, no]", [256, 100.0, "no"]),
        ("{a: 1, b: {c: [x]}}", {"a": 1, "b": {"c": ["x"]}}),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ('"\\u00e9\\x41\\U0001F600"', "éA😀"),
    ],
)
def test_a_scalar_means_one_thing(text: str, value: object) -> None:
    found = parse_document(f"key: {text}", "x.yaml").value["key"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_written_with_a_point() -> None:
    assert math.isnan(parse_document("key: .nan", "x.yaml").value["key"])


def test_positions_of_keys_items_and_values() -> None:
    document = parse_document(
        "seed: 0\noptimizer:\n  name: adam\n  learning_rate:   1e-3\nlayers:\n- dense\n- {name: x, units: 3}",
        "c.yaml",
    )
    assert document.position(("seed",)) == Position("c.yaml", 1, 1)
    assert document.value_position(("seed",)) == Position("c.yaml", 1, 7)
    assert document.position(("optimizer", "learning_rate")) == Position("c.yaml", 4, 3)
    assert document.value_position(("optimizer", "learning_rate")) == Position("c.yaml", 4, 20)
    assert document.position(("layers", 0)) == Position("c.yaml", 6, 3)
    assert document.position(("layers", 1, "units")) == Position("c.yaml", 7, 13)
    assert document.position(("layers", 1, "nothing")) == Position("c.yaml", 7, 3)  # what encloses it
    assert document.position(("nothing",)) == Position("c.yaml", 1, 1)
    assert document.text.startswith("seed: 0\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "a: 1\nb: 2\na: 3",
            "key 'a' is given twice: x.yaml:3:1: the first is at x.yaml:1:1; keep one of them",
        ),
        ("a: {b: 1, c: 2, b: 3}", "key 'b' is given twice: x.yaml:1:17: the first is at x.yaml:1:5;"),
        ("a: &anchor 1", "an anchor (&anchor) is not used in a config: x.yaml:1:4;"),
        ("a: *alias", "an alias (*alias) is not used in a config: x.yaml:1:4;"),
        ("a: [1, *alias]", "an alias (*alias) is not used in a config: x.yaml:1:8;"),
        ("a: !!python/object:os.system x", "a tag (tag:yaml.org,2002:python/object:os.system) is not used"),
        ("a: !mine {b: 1}", "a tag (!mine) is not used in a config: x.yaml:1:4; remove it"),
        ("a: ! 1", "a tag (!) is not used in a config: x.yaml:1:4;"),
        ("!!map {a: 1}", "a tag (tag:yaml.org,2002:map) is not used in a config: x.yaml:1:1;"),
        ("!!str a: 1", "a tag (tag:yaml.org,2002:str) is not used in a config: x.yaml:1:1;"),
        ("<<: {a: 1}", "a merge key (<<) is not used in a config: x.yaml:1:1; write the keys out"),
        ("a: 1\n---\nb: 2", "a second YAML document (---) is not used in a config: x.yaml:2:1;"),
        ("%YAML 1.1\n---\na: 1", "a YAML directive (%) is not used in a config: x.yaml:1:1; remove it"),
        ("1: a", "key 1 is not text: x.yaml:1:1;"),
        ("true: a", "key true is not text: x.yaml:1:1;"),
        ("~: a", "key null is not text: x.yaml:1:1;"),
        ("? [a, b]\n: 1", "a list or mapping as a key: x.yaml:1:3;"),
        ("a:\t1", "a tab where YAML takes only spaces: x.yaml:1:3; use spaces"),
        ("a:\n\tb: 1", "a tab where YAML takes only spaces: x.yaml:2:1; use spaces"),
        ("a: \0", "character '\\x00' cannot be in YAML: x.yaml:1:4;"),
        ("a: 1\nb: 2\n# \x1b[2J", "character '\\x1b' cannot be in YAML: x.yaml:3:3;"),
        ('a: "\\0"', "text with a character that cannot be printed or encoded: x.yaml:1:4: it is '\\x00';"),
        ('a: "\\ud800"', "text with a character that cannot be printed or encoded: x.yaml:1:4:"),
        ('a: "\\UFFFFFFFF"', "not valid YAML: x.yaml:1:7:"),
        ("a: 1e999", "number '1e999' cannot be read: x.yaml:1:4: it is too large for a float"),
        ("a: " + "9" * 5000, "number '99999"),
        ("a: b: c", "not valid YAML: x.yaml:1:5: mapping values are not allowed here;"),
        ("a: 'text\nb: 1", "not valid YAML: x.yaml:1:4: while scanning a quoted scalar,"),
        ("a: [1, 2", "not valid YAML: x.yaml:1:4: while parsing a flow sequence,"),
        ("a: @x", "not valid YAML: x.yaml:1:4: while scanning for the next token,"),
        ("a:\n  - 1\n - 2", "not valid YAML: x.yaml:3:2:"),
        ("a: " + "[" * 10_000, "nested deeper than 64 levels: x.yaml:1:67"),
        ("a: " + "{b: " * 10_000, "nested deeper than 64 levels: x.yaml:1:"),
        ("a:\n" + "- " * 10_000, "nested deeper than 64 levels: x.yaml:2:"),
        ("", "the config is empty: x.yaml;"),
        ("# only a comment\n", "the config is empty: x.yaml;"),
        ("---\n", "the config is empty: x.yaml;"),
        ("- a\n- b\n", "a config is a mapping of keys: x.yaml:1:1: this is a list of 2 items;"),
        ("lr:0.1", "a config is a mapping of keys: x.yaml:1:1: this is 'lr:0.1'; write 'key: value', with"),
    ],
)
def test_what_is_not_strict_is_refused_in_one_line(text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "x.yaml")
    assert str(caught.value)[: len(line)] == line
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_nesting_up_to_the_limit_is_read() -> None:
    assert parse_document("a: " + "[" * 63 + "]" * 63, "x.yaml").value["a"]


def test_a_merge_key_in_quotes_is_text() -> None:
    assert parse_document("'<<': 1", "x.yaml").value == {"<<": 1}


YAML_LIKE = st.text(alphabet=string.ascii_lowercase + "01.:-?[]{},#&*!|>'\"%@`~<\\ \t\n\r\0\x85\u2028\ud800é")


@given(YAML_LIKE)
def test_any_text_gives_a_mapping_or_a_config_error(text: str) -> None:
    try:
        found = parse_document(text, "x.yaml").value
    except ConfigError as error:
        found = {} if str(error).isprintable() else error
    assert isinstance(found, dict)
