"""Components and sections: chosen by name, strict, immutable, registered by kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config.toy_components import (
    Adam,
    Adaptive,
    Config,
    Constant,
    Dense,
    Flatten,
    Layer,
    Optimizer,
    RmsProp,
    Schedule,
    Sgd,
    Stack,
    Step,
    Train,
)
from pydantic import Field

from dltrain.config import Component, Document, Section, dump, parse, parse_document
from dltrain.errors import ConfigError


def parsed(text: str) -> Config:
    return parse(Config, parse_document(text, "x.yaml"))


def test_a_name_a_mapping_and_an_instance_give_the_same() -> None:
    by_name = parsed("optimizer: adam")
    assert by_name == parsed("optimizer: {name: adam}")
    assert by_name == Config(optimizer=Adam())
    assert by_name == Config.model_validate({"optimizer": "adam"})
    assert isinstance(by_name.optimizer, Adam)
    assert by_name.optimizer.component_name == "adam"
    assert by_name.optimizer.component_kind == "toy optimizer"


def test_components_in_components_and_lists() -> None:
    config = parsed(
        "optimizer: {name: sgd, schedule: {name: step, every: 3, then: {name: step, every: 1}}}\n"
        "layers: [flatten, {name: stack, layers: [{name: dense, units: 2}, flatten]}]\n"
    )
    assert config.optimizer == Sgd(schedule=Step(every=3, then=Step(every=1)))
    assert config.layers == [Flatten(), Stack(layers=[Dense(units=2), Flatten()])]


def test_the_abstract_kind_can_be_parsed_itself() -> None:
    assert parse(Optimizer, parse_document("name: sgd\nmomentum: 0.5", "x.yaml")) == Sgd(momentum=0.5)
    assert parse(Adam, parse_document("name: adam\nbeta_1: 0.5", "x.yaml")) == Adam(beta_1=0.5)
    assert parse(Adam, parse_document("beta_1: 0.5", "x.yaml")) == Adam(beta_1=0.5)
    with pytest.raises(ConfigError, match=r"unknown toy optimizer 'sgd': x.yaml:1:7; known: adam"):
        parse(Adam, parse_document("name: sgd", "x.yaml"))


def test_an_abstract_class_between_takes_only_its_own() -> None:
    assert parsed("{optimizer: sgd, adaptive: rmsprop}").adaptive == RmsProp()
    with pytest.raises(ConfigError, match=r"unknown toy optimizer 'sgd': .*known: adam, rmsprop"):
        parsed("{optimizer: sgd, adaptive: sgd}")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ({"learning_rate": 1}, 1.0),
        ({"learning_rate": 0.5}, 0.5),
    ],
)
def test_integers_are_taken_for_floats(keys: dict[str, Any], value: float) -> None:
    rate = Adam(**keys).learning_rate
    assert rate == value
    assert type(rate) is float


@pytest.mark.parametrize(
    ("cls", "keys"),
    [
        (Adam, {"learning_rate": "1e-3"}),
        (Adam, {"learning_rate": True}),
        (Adam, {"learning_rate": None}),
        (Adam, {"learning_rate": float("nan")}),
        (Adam, {"learning_rate": float("inf")}),
        (Adam, {"learning_rate": 10**400}),
        (Adam, {"amsgrad": 1}),
        (Adam, {"amsgrad": "true"}),
        (Adam, {"mode": "COUPLED"}),
        (Dense, {"units": 3.0}),
        (Dense, {"units": True}),
        (Dense, {"units": "3"}),
        (Dense, {}),
        (Dense, {"units": 3, "size": True}),
        (Stack, {"layers": "flatten"}),
        (Stack, {"layers": [3]}),
        (Config, {"optimizer": Flatten()}),
        (Config, {"optimizer": Adam}),
        (Train, {"epochs": 0}),
        (Adam, {"name": "sgd"}),
    ],
)
def test_types_are_strict_in_python_too(cls: type[Section], keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        cls(**keys)


def test_lists_become_tuples_and_text_paths() -> None:
    config = parsed("{optimizer: adam, hidden: [4, 2], pair: [1, 0.5], root: some/where}")
    assert config.hidden == (4, 2)
    assert config.pair == (1.0, 0.5)
    assert config.root == Path("some/where")


def test_infinity_where_the_field_allows_it() -> None:
    assert parsed("{optimizer: adam, train: {limit: .inf}}").train.limit == float("inf")


def test_a_kind_is_read_from_a_name_or_a_mapping_alone() -> None:
    line = r"^the config must be a mapping of keys: x: it is a list of 1 item; give a mapping of keys$"
    with pytest.raises(ConfigError, match=line):
        parse(Optimizer, Document([1], "x"))
    with pytest.raises(ConfigError, match=r"^Component is abstract; make one of its subclasses$"):
        Component()


def test_errors_of_python_name_the_class_and_all_problems() -> None:
    with pytest.raises(ConfigError) as caught:
        Adam(learning_rate=-1, lr=3, schedule={"name": "step"})  # type: ignore
    assert caught.value.lines == [
        "learning_rate must be greater than 0: Adam: it is -1; give a number greater than 0 (size of a step)",
        "key 'every' of toy schedule 'step' is missing: Adam; add it (epochs between drops)",
        "unknown key 'lr' of toy optimizer 'adam': Adam; write learning_rate instead "
        "(keys: learning_rate, schedule, epsilon, beta_1, amsgrad, mode)",
    ]


@pytest.mark.parametrize("cls", [Optimizer, Adaptive])
def test_an_abstract_class_is_not_made(cls: type[Optimizer]) -> None:
    with pytest.raises(ConfigError, match="is abstract"):
        cls()
    with pytest.raises(ConfigError, match="is abstract"):
        cls(name="adam")  # type: ignore[call-arg]


def test_components_are_immutable_and_compare_by_value() -> None:
    adam = Adam()
    with pytest.raises(ValueError, match="frozen"):
        adam.learning_rate = 3.0  # type: ignore[misc]
    assert adam == Adam(learning_rate=1e-3)
    assert adam != Adam(learning_rate=2e-3)
    assert hash(adam) == hash(Adam())


def test_each_kind_has_its_registry() -> None:
    assert Optimizer.registered() == {"sgd": Sgd, "adam": Adam, "rmsprop": RmsProp}
    assert Adaptive.registered() == {"adam": Adam, "rmsprop": RmsProp}
    kinds = Component.registered_kinds()
    assert kinds[Schedule] == {"constant": Constant, "step": Step}
    assert kinds[Layer] == {"dense": Dense, "flatten": Flatten, "stack": Stack}


def test_a_name_belongs_to_one_class() -> None:
    with pytest.raises(ConfigError, match=r"toy layer 'dense' exists already: .*Other: it is .*Dense"):

        class Other(Layer, name="dense"):
            pass

    assert Layer.registered()["dense"] is Dense


def test_the_same_class_again_replaces_itself() -> None:
    class Kind(Component, kind="kind of one test"):
        pass

    def define() -> type[Kind]:
        class Again(Kind, name="again"):
            pass

        return Again

    define()
    second = define()
    assert Kind.registered() == {"again": second}


def test_mistakes_in_a_class_are_told_when_it_is_defined() -> None:
    class Kind(Component, kind="kind of another test"):
        pass

    with pytest.raises(TypeError, match="has a field 'name'"):

        class Named(Kind, name="named"):
            name: str = Field(default="", description="taken")

    with pytest.raises(TypeError, match="none of its bases a kind"):

        class Homeless(Component, name="homeless"):
            pass


def test_dump_writes_names_and_defaults_out() -> None:
    config = Config(optimizer=Sgd(schedule=Step(every=2)), layers=[Dense(units=1)], root=Path("a/b"))
    assert dump(config) == {
        "seed": 0,
        "root": "a/b",
        "hidden": [256, 128],
        "pair": None,
        "weights": {},
        "optimizer": {
            "name": "sgd",
            "learning_rate": 1e-3,
            "schedule": {"name": "step", "every": 2, "then": {"name": "constant"}},
            "momentum": 0.0,
        },
        "adaptive": None,
        "layers": [{"name": "dense", "units": 1, "size": None}],
        "train": {"epochs": 10, "warmup": 0, "limit": float("inf")},
    }
