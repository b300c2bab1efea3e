"""The JSON Schema holds what the classes hold: order, types, ranges, descriptions, names."""

from __future__ import annotations

import json
from typing import Any

from config.toy_components import Adam, Config, Optimizer

from dltrain.config import json_schema


def test_the_schema_is_plain_json_and_all_references_lead_somewhere() -> None:
    schema = json_schema(Config)
    text = json.dumps(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    references = {part.split('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}
    assert references == set(schema["$defs"])
    assert "dltrain-kind" not in text


def test_fields_keep_order_range_description_and_default() -> None:
    adam = json_schema(Config)["$defs"]["toy optimizer:adam"]
    assert adam["description"] == "Adam (Kingma and Ba, 2015)."
    assert adam["additionalProperties"] is False
    assert adam["required"] == ["name"]
    assert list(adam["properties"]) == [
        "name",
        "learning_rate",
        "schedule",
        "epsilon",
        "beta_1",
        "amsgrad",
        "mode",
    ]
    assert adam["properties"]["name"] == {"const": "adam"}
    rate = adam["properties"]["learning_rate"]
    assert (rate["type"], rate["exclusiveMinimum"], rate["default"]) == ("number", 0, 1e-3)
    assert rate["description"] == "size of a step"
    assert adam["properties"]["schedule"]["default"] == {"name": "constant"}
    assert adam["properties"]["mode"]["enum"] == ["coupled", "decoupled"]


def test_a_kind_is_a_bare_name_or_one_of_its_components() -> None:
    definitions = json_schema(Config)["$defs"]
    layer = definitions["toy layer"]
    assert layer["description"] == "A layer."
    assert layer["anyOf"] == [
        {"enum": ["flatten", "stack"]},  # a dense layer needs its units
        {"$ref": "#/$defs/toy layer:dense"},
        {"$ref": "#/$defs/toy layer:flatten"},
        {"$ref": "#/$defs/toy layer:stack"},
    ]
    stacked: dict[str, Any] = definitions["toy layer:stack"]["properties"]["layers"]
    assert stacked["items"] == {"$ref": "#/$defs/toy layer"}
    assert definitions["toy layer:dense"]["required"] == ["name", "units"]
    assert {"$ref": "#/$defs/toy optimizer:sgd"} not in definitions["toy optimizer.Adaptive"]["anyOf"]


def test_the_top_has_the_sections() -> None:
    schema = json_schema(Config)
    assert schema["required"] == ["optimizer"]
    assert "#/$defs/Train" in json.dumps(schema["properties"]["train"])
    assert schema["properties"]["train"]["description"] == "the loop"
    assert schema["properties"]["optimizer"]["$ref"] == "#/$defs/toy optimizer"


def test_a_kind_or_a_component_has_a_schema_of_its_own() -> None:
    assert json_schema(Optimizer)["$ref"] == "#/$defs/toy optimizer"
    assert json_schema(Adam)["title"] == "Adam"
