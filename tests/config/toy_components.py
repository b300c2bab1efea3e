"""A small family of components and a config made of them, for the tests of dltrain.config."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from dltrain.config import Component, Section
from dltrain.errors import ConfigError
from dltrain.places import Key


class Schedule(Component, kind="toy schedule"):
    """How the learning rate changes."""


class Constant(Schedule, name="constant"):
    """It stays."""


class Step(Schedule, name="step"):
    """It drops."""

    every: int = Field(gt=0, description="epochs between drops")
    then: Schedule = Field(default=Constant(), description="what follows")


class Optimizer(Component, kind="toy optimizer"):
    """An optimizer."""

    learning_rate: float = Field(default=1e-3, gt=0, description="size of a step")
    schedule: Schedule = Field(default=Constant(), description="change of the learning rate")


class Sgd(Optimizer, name="sgd"):
    """Gradient descent."""

    momentum: float = Field(default=0.0, ge=0, lt=1, description="share of the last step")


class Adaptive(Optimizer):
    """An abstract class between the kind and its components."""

    epsilon: float = Field(default=1e-8, gt=0, description="added to the denominator")


class Adam(Adaptive, name="adam"):
    """Adam (Kingma and Ba, 2015)."""

    beta_1: float = Field(default=0.9, description="decay of the first moment")
    amsgrad: bool = Field(default=False, description="keep the largest second moment")
    mode: Literal["coupled", "decoupled"] = Field(default="coupled", description="where the decay goes")


class RmsProp(Adaptive, name="rmsprop"):
    """RMSProp."""


class Layer(Component, kind="toy layer"):
    """A layer."""


class Dense(Layer, name="dense"):
    """Every input to every output."""

    units: int = Field(gt=0, description="outputs")
    size: int | float | None = Field(default=None, description="a union")


class Flatten(Layer, name="flatten"):
    """To one dimension."""


class Stack(Layer, name="stack"):
    """Layers in a layer."""

    layers: list[Layer] = Field(default=[], description="in their order")
    drop: Schedule | float = Field(default=0.0, description="a share, or how it changes")


class Train(Section):
    """The loop."""

    epochs: int = Field(default=10, gt=0, description="passes over the data")
    warmup: int = Field(default=0, ge=0, description="epochs of warm-up")
    limit: float = Field(default=float("inf"), allow_inf_nan=True, description="largest loss")

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup > self.epochs:
            raise ConfigError(
                "warm-up longer than training", where=Key("warmup"), why="10 > 5", fix="shorten it"
            )
        return self


class Config(Section):
    """All of it."""

    seed: int = Field(default=0, ge=0, description="seed of all randomness")
    root: Path = Field(default=Path("data"), description="folder of the data")
    hidden: tuple[int, ...] = Field(default=(256, 128), min_length=1, description="sizes of the layers")
    pair: tuple[float, float] | None = Field(default=None, description="two numbers")
    weights: dict[str, float] = Field(default={}, description="weight of each cost")
    optimizer: Optimizer = Field(description="how to descend")
    adaptive: Adaptive | None = Field(default=None, description="one of some optimizers")
    layers: list[Layer] = Field(default=[], description="the model")
    train: Train = Field(default=Train(), description="the loop")
